import Glibc
import Synchronization

/// Reads the small files that hold keys, certificates and configurations.
enum SmallFile {
    static let bytesMax = 1 << 20

    static func bytes(_ path: String, operation: String) throws(KubernetesError) -> [UInt8] {
        func problem(_ reason: String) -> KubernetesError {
            KubernetesError(.configuration, operation: operation, detail: "\(path) \(reason)")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw problem("cannot be read: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= bytesMax {
            let count = piece.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw problem("cannot be read: \(String(cString: strerror(errno)))") }
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
        throw problem("is larger than \(bytesMax) bytes")
    }

    /// Without blanks and line ends around it.
    ///
    /// - Throws: also when nothing is left.
    static func text(_ path: String, operation: String) throws(KubernetesError) -> String {
        let bytes = try bytes(path, operation: operation)
        let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let first = bytes.firstIndex(where: { !isBlank($0) }),
            let last = bytes.lastIndex(where: { !isBlank($0) })
        else { throw KubernetesError(.configuration, operation: operation, detail: "\(path) is empty") }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }

    /// Changes when the file is written or another one takes its place; nil when it is not there.
    struct Version: Equatable, Sendable {
        private var device: UInt64
        private var inode: UInt64
        private var modifiedSeconds: Int
        private var modifiedNanoseconds: Int
        private var bytes: Int

        init?(_ path: String) {
            var information = stat()
            guard stat(path, &information) == 0 else { return nil }
            device = UInt64(information.st_dev)
            inode = UInt64(information.st_ino)
            modifiedSeconds = Int(information.st_mtim.tv_sec)
            modifiedNanoseconds = Int(information.st_mtim.tv_nsec)
            bytes = Int(information.st_size)
        }
    }
}

/// A token in a file, read again when the file changes.
package final class TokenFile: Sendable {
    private struct Known {
        var token: String
        var version: SmallFile.Version?
    }

    private let path: String
    private let known = Mutex<Known?>(nil)

    package init(_ path: String) {
        self.path = path
    }

    /// The token in force: one `stat`, and a read where the file has changed. A file that is gone for a moment
    /// leaves the token before in force.
    ///
    /// - Throws: ``KubernetesError`` `configuration` when it was never readable.
    package func current() throws(KubernetesError) -> String {
        let version = SmallFile.Version(path)
        let before = known.withLock { $0 }
        if let before, version == nil || before.version == version { return before.token }
        do throws(KubernetesError) {
            let token = try SmallFile.text(path, operation: "read the token")
            known.withLock { $0 = Known(token: token, version: version) }
            return token
        } catch {
            guard let before else { throw error }
            return before.token
        }
    }
}
