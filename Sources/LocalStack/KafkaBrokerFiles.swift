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
