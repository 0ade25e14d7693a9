import Foundation
import ServiceRuntime

#if canImport(Glibc)
    import Glibc
#endif

/// Files and folders of a broker.
enum BrokerFiles {
    static func makeDirectory(_ path: String) throws(KafkaBrokerError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw KafkaBrokerError("The folder \(path) could not be made: \(error.localizedDescription)")
        }
    }

    static func write(_ text: String, to path: String) throws(KafkaBrokerError) {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw KafkaBrokerError("\(path) could not be written: \(error.localizedDescription)")
        }
    }

    /// nil when there is no such program or it may not be run.
    static func absolutePathOfProgram(_ path: String) -> String? {
        let absolute = URL(fileURLWithPath: path).path
        return FileManager.default.isExecutableFile(atPath: absolute) ? absolute : nil
    }

    /// The last line with text of a log, at most 300 characters.
    static func lastLine(of path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        let tail = String(decoding: data.suffix(8_192), as: UTF8.self)
        let line = tail.split(whereSeparator: \.isNewline).last { !$0.allSatisfy(\.isWhitespace) }
        return line.map { String($0.suffix(300)) }
    }
}

/// Ports of 127.0.0.1.
enum LoopbackPort {
    /// The wanted port when nobody listens there, or any free one.
    ///
    /// Another program may take it before the broker does; the broker then ends with its own words.
    static func choose(_ wanted: Int?) throws(KafkaBrokerError) -> Int {
        if let port = bindOnce(UInt16(clamping: wanted ?? 0)) { return port }
        guard let wanted else { throw KafkaBrokerError("No free port on 127.0.0.1 for the broker.") }
        throw KafkaBrokerError(
            "Port \(wanted) of 127.0.0.1 is taken: end the program that listens there or choose another port."
        )
    }

    /// Binds a socket and closes it again; nil when that is refused.
    private static func bindOnce(_ port: UInt16) -> Int? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        var reuse: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, length) == 0 && getsockname(socket, address, &length) == 0
            }
        }
        return bound ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
