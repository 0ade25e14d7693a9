import Glibc
import ServiceRuntime
import Workflow

extension ObjectStore {
    /// A whole object in memory.
    ///
    /// - Throws: ``ObjectStoreError``; `invalid` when it is longer than `bytesMax`.
    package func bytes(_ key: ObjectKey, bytesMax: Int) async throws -> [UInt8] {
        let collector = Collector(bytesMax: bytesMax, key: key)
        try await get(key, range: nil) { try await collector.add($0) }
        return await collector.bytes
    }
}

private actor Collector {
    private let bytesMax: Int
    private let key: ObjectKey
    private(set) var bytes: [UInt8] = []

    init(bytesMax: Int, key: ObjectKey) {
        self.bytesMax = bytesMax
        self.key = key
    }

    func add(_ piece: [UInt8]) throws(ObjectStoreError) {
        guard bytes.count + piece.count <= bytesMax else {
            let detail = "it is longer than \(bytesMax) bytes"
            throw ObjectStoreError(.invalid, operation: "get \(key)", detail: detail)
        }
        bytes += piece
    }
}

extension ObjectContent {
    /// A file of this machine, which must not change until it is stored.
    ///
    /// - Throws: ``ObjectFileError`` when it cannot be opened.
    package static func file(_ path: String, mediaType: String) throws(ObjectFileError) -> ObjectContent {
        let file = try ObjectFile(path)
        return ObjectContent(byteCount: file.byteCount, mediaType: mediaType) { range in
            try await file.bytes(range)
        }
    }
}

/// Why a file cannot be stored.
package struct ObjectFileError: Error, Sendable, Equatable, CustomStringConvertible {
    package var path: String
    package var detail: String

    package var description: String { "\(path): \(detail)" }

    init(_ path: String, _ number: Int32) {
        self.path = path
        detail = String(cString: strerror(number))
    }
}

/// Its calls block, so it has a queue of its own.
private actor ObjectFile {
    private let executor = QueueExecutor(label: "object-file")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let path: String
    private let descriptor: Int32
    nonisolated let byteCount: Int64

    init(_ path: String) throws(ObjectFileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ObjectFileError(path, errno) }
        byteCount = Int64(lseek(descriptor, 0, SEEK_END))
    }

    deinit { close(descriptor) }

    func bytes(_ range: Range<Int64>) throws -> [UInt8] {
        try FolderCall("read \(path)", root: path).read(descriptor, range)
    }
}
