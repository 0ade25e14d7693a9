import Glibc
import Workflow

/// One operation on a folder of objects: its paths, and its errors in words.
struct FolderCall: Sendable {
    let operation: String
    let root: String

    init(_ operation: String, root: String) {
        self.operation = operation
        self.root = root
    }

    func path(_ key: ObjectKey) -> String { "\(root)/\(key)" }

    func error(_ code: ObjectStoreError.Code, _ detail: String) -> ObjectStoreError {
        ObjectStoreError(code, operation: operation, detail: detail)
    }

    /// Of the last system call.
    func last() -> ObjectStoreError { error(errno) }

    func error(_ number: Int32) -> ObjectStoreError {
        let words = String(cString: strerror(number))
        return switch number {
        case ENOSPC, EDQUOT, EFBIG: error(.full, "\(root): \(words)")
        case EACCES, EPERM, EROFS: error(.refused, "\(root) (OBJECT_STORE_DIR): \(words)")
        case ENOTDIR, EISDIR: error(.invalid, "\(root): a part of the path is an object itself: \(words)")
        case ELOOP, ENAMETOOLONG, ENOENT: error(.noContainer, "\(root) (OBJECT_STORE_DIR): \(words)")
        default: error(.unavailable, "\(root): \(words)")
        }
    }

    /// Makes a folder and those above it.
    func makeFolders(to path: String) throws(ObjectStoreError) {
        guard let end = path.lastIndex(of: "/") else { throw error(.invalid, "\(path) is no absolute path") }
        let parent = end == path.startIndex ? "/" : String(path[..<end])
        if mkdir(path, 0o755) != 0 {
            if errno == EEXIST { return }
            guard errno == ENOENT, parent != "/" else { throw last() }
            try makeFolders(to: parent)
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw last() }
        }
        try syncFolder(parent)
    }

    func removeEmptyFolders(of key: ObjectKey) {
        var parts = key.rawValue.split(separator: "/").dropLast()
        // Ends at the first that still holds something.
        while !parts.isEmpty, rmdir("\(root)/\(parts.joined(separator: "/"))") == 0 { parts.removeLast() }
    }

    /// A new name is on disk only when its folder is.
    func syncFolder(_ path: String) throws(ObjectStoreError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            // One above ours that may be written to and not read: its file system's own pace has to do.
            if errno == EACCES { return }
            throw last()
        }
        defer { close(descriptor) }
        // Some file systems cannot sync a folder, and need not.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw last() }
    }

    func read(_ descriptor: Int32, _ range: Range<Int64>) throws(ObjectStoreError) -> [UInt8] {
        var number: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { room, filled in
            while filled < range.count {
                let count = pread(
                    descriptor, room.baseAddress?.advanced(by: filled), range.count - filled,
                    off_t(range.lowerBound) + off_t(filled))
                if count > 0 {
                    filled += count
                } else if count == 0 || errno != EINTR {
                    number = count == 0 ? EIO : errno
                    return
                }
            }
        }
        guard number == 0 else { throw error(number) }
        return bytes
    }
}
