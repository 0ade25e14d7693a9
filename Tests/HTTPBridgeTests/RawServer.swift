import Dispatch
import Glibc
import Synchronization

/// A TCP server on a free loopback port whose connections are played by hand, for answers no decent HTTP
/// server would give. Each connection has a thread of its own; the socket closes when the script returns.
final class RawServer: Sendable {
    struct Connection: Sendable {
        let descriptor: Int32

        /// Reads up to and including the blank line that ends a request's head.
        func readHead() -> String {
            var bytes: [UInt8] = []
            var byte: UInt8 = 0
            while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8), recv(descriptor, &byte, 1, 0) == 1 {
                bytes.append(byte)
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        func write(_ text: String) { write([UInt8](text.utf8)) }

        /// False when the other side has closed.
        @discardableResult
        func write(_ bytes: [UInt8]) -> Bool {
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

        /// Waits until the other side closes; false when it has not within 20 s.
        func awaitClose() -> Bool {
            var timeout = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
            var byte: UInt8 = 0
            while true {
                let count = recv(descriptor, &byte, 1, 0)
                if count == 0 { return true }
                if count < 0 { return errno == ECONNRESET }
            }
        }
    }

    let port: Int
    private let listener: Int32
    private let accepted = Mutex(0)

    var url: String { "http://127.0.0.1:\(port)" }
    var connectionCount: Int { accepted.withLock { $0 } }

    init(_ script: @escaping @Sendable (Connection) -> Void) {
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
        DispatchQueue(label: "raw-server").async { [self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { return }
                accepted.withLock { $0 += 1 }
                DispatchQueue(label: "raw-connection").async {
                    script(Connection(descriptor: descriptor))
                    Glibc.close(descriptor)
                }
            }
        }
    }

    /// Ends the listener; connections in hand play on.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
    }
}

/// Hands a value from a server's thread to the test.
func awaitValue<Value: Sendable>(_ stream: AsyncStream<Value>) async -> Value? {
    for await value in stream { return value }
    return nil
}
