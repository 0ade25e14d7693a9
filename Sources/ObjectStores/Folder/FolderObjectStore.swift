import Glibc
import ServiceRuntime
import Workflow

/// Objects as files of a folder: the key is the path.
///
/// An object is written under another name, synced to disk and then renamed: whoever reads meanwhile sees the
/// old or the new one whole, also after a power cut. Its calls block, so it has a queue of its own.
package actor FolderObjectStore: ObjectStore {
    private let executor = QueueExecutor(label: "objects")
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Read and written at once.
    private static let pieceBytes: Int64 = 1 << 20
    private static let pageCount = 1_000

    private let root: String

    /// - Parameter root: an absolute path; made when the first object is put.
    package init(root: String) {
        self.root = root
    }

    @discardableResult
    package func put(_ key: ObjectKey, _ content: ObjectContent) async throws(ObjectStoreError) -> ObjectInfo
    {
        let call = FolderCall("put \(key)", root: root)
        var draft = try FolderDraft(key, call)
        do throws(ObjectStoreError) {
            var start: Int64 = 0
            while start < content.byteCount {
                let range = start..<min(start + Self.pieceBytes, content.byteCount)
                let bytes: [UInt8]
                do { bytes = try await content.read(range) } catch {
                    throw call.error(.invalid, "its content cannot be read: \(error)")
                }
                guard bytes.count == range.count else {
                    throw call.error(.invalid, "its content has \(bytes.count) bytes at \(range)")
                }
                try draft.append(bytes)
                start = range.upperBound
            }
            try draft.publish()
        } catch {
            draft.drop()
            throw error
        }
        return ObjectInfo(key: key, byteCount: content.byteCount)
    }

    package func get(
        _ key: ObjectKey, range: Range<Int64>?, body: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let call = FolderCall("get \(key)", root: root)
        let descriptor = open(call.path(key), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            throw errno == ENOENT || errno == ENOTDIR
                ? call.error(.notFound, "there is no such object") : call.last()
        }
        defer { Glibc.close(descriptor) }
        let byteCount = Int64(lseek(descriptor, 0, SEEK_END))
        let range = range ?? 0..<byteCount
        guard range.upperBound <= byteCount else {
            throw call.error(.corrupt, "it has \(byteCount) bytes, \(range) were asked for")
        }
        var start = range.lowerBound
        while start < range.upperBound {
            let bytes = try call.read(descriptor, start..<min(start + Self.pieceBytes, range.upperBound))
            start += Int64(bytes.count)
            try await body(bytes)
        }
    }

    package func info(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo? {
        let call = FolderCall("look at \(key)", root: root)
        var status = stat()
        guard lstat(call.path(key), &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw call.last()
        }
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        return ObjectInfo(key: key, byteCount: Int64(status.st_size))
    }

    package func list(
        _ prefix: ObjectPrefix, body: @Sendable ([ObjectInfo]) async throws -> Void
    ) async throws {
        let call = FolderCall("list \(prefix)", root: root)
        let keys = try FolderTree(call).files(under: prefix).compactMap { ObjectKey($0) }.sorted()
        var page: [ObjectInfo] = []
        for key in keys {
            // Deleted since: it is not there.
            guard let info = try info(key) else { continue }
            page.append(info)
            if page.count == Self.pageCount {
                try await body(page)
                page = []
            }
        }
        if !page.isEmpty { try await body(page) }
    }

    package func delete(_ key: ObjectKey) throws(ObjectStoreError) {
        let call = FolderCall("delete \(key)", root: root)
        guard unlink(call.path(key)) == 0 || errno == ENOENT || errno == ENOTDIR else { throw call.last() }
        // Folders are there for their objects only.
        call.removeEmptyFolders(of: key)
    }

    package func discardUnfinished(under prefix: ObjectPrefix) throws(ObjectStoreError) {
        let call = FolderCall("discard what is unfinished under \(prefix)", root: root)
        for path in try FolderTree(call).drafts(under: prefix) {
            guard unlink("\(root)/\(path)") == 0 || errno == ENOENT else { throw call.last() }
        }
    }

    package func check() throws(ObjectStoreError) {
        let call = FolderCall("look at the folder", root: root)
        try call.makeFolders(to: root)
        guard access(root, R_OK | W_OK | X_OK) == 0 else { throw call.last() }
    }

    package func close() {}
}
