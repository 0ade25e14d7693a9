import Dispatch
import Glibc
import Synchronization

/// An API server played by hand, for answers that a real one gives only in rare trouble. Each connection gets
/// the next script's answer to its first request; the last script is played again and again.
final class PlayedServer: Sendable {
    struct Connection: Sendable {
        let descriptor: Int32

        @discardableResult
        func write(_ text: String) -> Bool {
            let bytes = [UInt8](text.utf8)
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    send(
                        descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
                        Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                sent += count
            }
            return true
        }

        func answer(_ status: Int, _ body: String, headers: [String] = []) {
            let lines = [
                "HTTP/1.1 \(status) Said", "Content-Length: \(body.utf8.count)", "Connection: close",
            ]
            write((lines + headers + ["", body]).joined(separator: "\r\n"))
        }

        /// Begins a body without an end; it ends with the connection.
        func beginStream() { write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n") }

        /// Waits until the other side closes, 20 s at the most.
        func awaitClose() {
            var timeout = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
            var byte: UInt8 = 0
            while recv(descriptor, &byte, 1, 0) > 0 {}
        }

        fileprivate func readHead() -> String {
            var bytes: [UInt8] = []
            var byte: UInt8 = 0
            while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8), recv(descriptor, &byte, 1, 0) == 1 {
                bytes.append(byte)
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    typealias Script = @Sendable (Connection) -> Void

    let port: Int
    private let listener: Int32
    private let heads = Mutex<[String]>([])
    private let isStopped = Mutex(false)

    var url: String { "http://127.0.0.1:\(port)" }
    /// First lines of the requests so far.
    var requests: [String] {
        heads.withLock { $0.map { String($0.prefix { $0 != "\r\n" }) } }
    }
    var requestHeads: [String] { heads.withLock { $0 } }

    init(_ scripts: [Script]) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        precondition(isBound, "no free loopback port")
        port = Int(UInt16(bigEndian: address.sin_port))
        DispatchQueue(label: "played-server").async { [self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else {
                    // Here and not in `stop`: its number must not be another server's while this thread uses it.
                    Glibc.close(listener)
                    return
                }
                DispatchQueue(label: "played-connection").async { [self] in
                    let connection = Connection(descriptor: descriptor)
                    let head = connection.readHead()
                    let number = heads.withLock { heads in
                        heads.append(head)
                        return heads.count
                    }
                    scripts[min(number, scripts.count) - 1](connection)
                    Glibc.close(descriptor)
                }
            }
        }
    }

    func stop() {
        let isFirst = isStopped.withLock { isStopped in
            defer { isStopped = true }
            return !isStopped
        }
        if isFirst { shutdown(listener, Int32(SHUT_RDWR)) }
    }
}

/// Reads what has come so far, at least one byte.
func recvBytes(_ descriptor: Int32, _ bytes: inout [UInt8]) -> Int {
    max(0, bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) })
}
