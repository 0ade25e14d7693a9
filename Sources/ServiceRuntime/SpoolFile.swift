internal import CPosix
import Glibc

/// A file without a name, for what is too large for memory and needed only for a while: the system takes it back when
/// the owner is gone, also after kill -9.
///
/// Its calls block while the disk does: keep it inside an actor with a ``QueueExecutor``.
package final class SpoolFile {
    private let folder: String
    private let descriptor: Int32
    package private(set) var byteCount = 0

    /// - Parameter folder: a folder that may be written to.
    /// - Throws: ``SpoolError``.
    package init(in folder: String) throws(SpoolError) {
        self.folder = folder
        descriptor = cposix_open_nameless(folder)
        guard descriptor >= 0 else { throw SpoolError("make a file in \(folder)", errno) }
    }

    deinit { close(descriptor) }

    /// - Throws: ``SpoolError``, e.g. when the disk is full; the file is then of no use.
    package func append(_ bytes: [UInt8]) throws(SpoolError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw SpoolError("write to \(folder)", errno)
            }
            rest = rest.dropFirst(count)
            byteCount += count
        }
    }

    /// - Parameter range: lies within what was appended.
    package func bytes(_ range: Range<Int>) throws(SpoolError) -> [UInt8] {
        precondition(range.upperBound <= byteCount, "reads behind the end")
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { room, filled in
            while filled < range.count {
                let count = pread(
                    descriptor, room.baseAddress?.advanced(by: filled), range.count - filled,
                    range.lowerBound + filled)
                if count > 0 {
                    filled += count
                } else if count == 0 || errno != EINTR {
                    // An end before the end: somebody cut the file.
                    code = count == 0 ? EIO : errno
                    return
                }
            }
        }
        guard code == 0 else { throw SpoolError("read from \(folder)", code) }
        return bytes
    }
}

/// Why the disk did not take or give bytes.
package struct SpoolError: Error, Sendable, Equatable, CustomStringConvertible {
    /// E.g. `write to /tmp`.
    package var operation: String
    /// `errno`.
    package var code: Int32

    init(_ operation: String, _ code: Int32) {
        self.operation = operation
        self.code = code
    }

    package var description: String { "cannot \(operation): \(String(cString: strerror(code)))" }
}
