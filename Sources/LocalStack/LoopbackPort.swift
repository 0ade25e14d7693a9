import Glibc

/// Ports of 127.0.0.1.
package enum LoopbackPort {
    /// A port that nobody listens on, until somebody else takes it; nil when the system has none.
    package static func free() -> Int? { bindOnce(0) }

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
