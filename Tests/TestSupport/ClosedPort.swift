import Glibc

/// A loopback port that refuses connections for as long as this lives: it is taken, and nobody listens.
package final class ClosedPort: Sendable {
    package let number: Int
    private let descriptor: Int32

    package init() {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
            guard bind(descriptor, pointer, length) == 0 else { return Int32(-1) }
            return getsockname(descriptor, pointer, &length)
        }
        precondition(descriptor >= 0 && result == 0, "no port of the loopback is free")
        self.descriptor = descriptor
        number = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }
}
