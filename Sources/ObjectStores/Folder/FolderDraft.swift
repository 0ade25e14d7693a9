import Glibc
import Workflow

/// An object that is being written, under a name that no key has.
struct FolderDraft {
    /// Begins with a dot, as no part of a key does, and ends with this.
    static let ending = ".unfinished"
    /// A folder that another's delete removes just now is made again.
    private static let openTries = 5

    private let call: FolderCall
    private let path: String
    private let target: String
    private let folder: String
    private var descriptor: Int32

    init(_ key: ObjectKey, _ call: FolderCall) throws(ObjectStoreError) {
        self.call = call
        target = call.path(key)
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        folder = parts.dropLast().joined(separator: "/")
        let random = String(UInt64.random(in: 0 ... .max), radix: 36)
        path = "\(folder)/.\(random)\(Self.ending)"
        descriptor = -1
        for attempt in 1...Self.openTries {
            try call.makeFolders(to: folder)
            descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            if descriptor >= 0 { return }
            guard errno == ENOENT, attempt < Self.openTries else { throw call.last() }
        }
    }

    mutating func append(_ bytes: [UInt8]) throws(ObjectStoreError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw call.last() }
            rest = rest.dropFirst(count)
        }
    }

    /// Makes the object visible; it is on disk when this returns.
    mutating func publish() throws(ObjectStoreError) {
        guard fsync(descriptor) == 0 else { throw call.last() }
        // A full disk may be told only here.
        let number = close(descriptor) == 0 ? 0 : errno
        descriptor = -1
        guard number == 0 || number == EINTR else { throw call.error(number) }
        guard rename(path, target) == 0 else {
            throw errno == ENOENT
                ? call.error(.superseded, "another attempt discarded what was written") : call.last()
        }
        try call.syncFolder(folder)
    }

    mutating func drop() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        unlink(path)
    }
}
