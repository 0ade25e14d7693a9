import Foundation
import Synchronization
import Testing
import Workflow

@testable import ObjectStores

struct ArtifactShelfTests {
    private static let names = ["model.safetensors", "model.json", "metrics.json"]

    private static func artifacts(_ mark: UInt8) -> [Artifact] {
        names.enumerated().map { index, name in
            let bytes = [UInt8](repeating: mark, count: 1_000 * (index + 1))
            return Artifact(name, ObjectContent(bytes, mediaType: "application/octet-stream"))
        }
    }

    private static func read(_ shelf: ArtifactShelf) async throws -> [UInt8] {
        guard let set = try await shelf.published() else { return [] }
        var marks: [UInt8] = []
        for name in names {
            let bytes = Collected<UInt8>()
            try await shelf.read(name, of: set) { bytes.add($0) }
            #expect(Set(bytes.all).count == 1)
            marks.append(bytes.all.first ?? 0)
        }
        return marks
    }

    @Test func `a set is seen whole, and another one replaces it`() async throws {
        try await FolderStoreTests.run { folder in
            let store = FolderObjectStore(root: folder)
            let shelf = ArtifactShelf(store, at: try prefix("models/a"))
            #expect(try await shelf.published() == nil)
            for mark in [1, 2] as [UInt8] {
                let set = try await shelf.publish(Self.artifacts(mark), attempt: 1)
                #expect(try await shelf.published() == set)
                #expect(try await Self.read(shelf) == [mark, mark, mark])
                // Of the older set nothing is left.
                #expect(try await store.keys(.all).count == 4)
            }
            let set = try #require(try await shelf.published())
            #expect(set.entry("model.json")?.bytes == 2_000)
            // Of 1,000 bytes of 2, by sha256sum.
            #expect(
                set.entry("model.safetensors")?.sha256
                    == "62923de3afb82e5f258f64af6e47a62706a63680e3fd398e2806e1a4d576809c")
        }
    }

    @Test(arguments: 0...3) func `a writer that dies is not seen, and the next attempt clears up`(puts: Int)
        async throws
    {
        try await FolderStoreTests.run { folder in
            let store = FolderObjectStore(root: folder)
            let place = try prefix("models/a")
            try await ArtifactShelf(store, at: place).publish(Self.artifacts(1), attempt: 1)
            let dying = ArtifactShelf(DyingStore(store, putsMax: puts), at: place)
            _ = await #expect(throws: ObjectStoreError.self) {
                try await dying.publish(Self.artifacts(2), attempt: 2)
            }
            #expect(try await Self.read(ArtifactShelf(store, at: place)) == [1, 1, 1])
            #expect(try await store.keys(.all).count == 4 + puts)
            try await ArtifactShelf(store, at: place).publish(Self.artifacts(3), attempt: 3)
            #expect(try await Self.read(ArtifactShelf(store, at: place)) == [3, 3, 3])
            #expect(try await store.keys(.all).count == 4)
        }
    }

    @Test func `a lower attempt does not replace a higher one's set`() async throws {
        try await FolderStoreTests.run { folder in
            let store = FolderObjectStore(root: folder)
            let shelf = ArtifactShelf(store, at: try prefix("models/a"))
            try await shelf.publish(Self.artifacts(2), attempt: 2)
            let error = await #expect(throws: ObjectStoreError.self) {
                try await shelf.publish(Self.artifacts(1), attempt: 1)
            }
            #expect(error?.code == .superseded)
            #expect(try await Self.read(shelf) == [2, 2, 2])
            #expect(try await store.keys(.all).count == 4)
        }
    }

    @Test func `an attempt that comes too late leaves alone what a later one is writing`() async throws {
        try await FolderStoreTests.run { folder in
            let store = FolderObjectStore(root: folder)
            let shelf = ArtifactShelf(store, at: try prefix("models/a"))
            try await shelf.publish(Self.artifacts(2), attempt: 2)
            let content = ObjectContent(byteCount: 1, mediaType: "text/plain") { _ in
                let error = await #expect(throws: ObjectStoreError.self) {
                    try await shelf.publish(Self.artifacts(1), attempt: 1)
                }
                #expect(error?.code == .superseded)
                return [3]
            }
            let name = try key("models/a/files-3-abc/model.json")
            try await store.put(name, content)
            #expect(try await store.read(name) == [3])
        }
    }

    @Test func `a file that was changed is found out`() async throws {
        try await FolderStoreTests.run { folder in
            let store = FolderObjectStore(root: folder)
            let shelf = ArtifactShelf(store, at: try prefix("models/a"))
            let set = try await shelf.publish(Self.artifacts(2), attempt: 1)
            let name = try key("models/a/\(set.folder)/model.json")
            try await store.put(
                name, ObjectContent([UInt8](repeating: 3, count: 2_000), mediaType: "text/plain"))
            let error = await #expect(throws: ObjectStoreError.self) {
                try await shelf.read("model.json", of: set) { _ in }
            }
            #expect(error?.code == .corrupt)
            try await store.put(
                try key("models/a/artifacts.json"), ObjectContent([123], mediaType: "text/plain"))
            let broken = await #expect(throws: ObjectStoreError.self) { try await shelf.published() }
            #expect(broken?.code == .corrupt)
        }
    }

    @Test(arguments: ["a/b", "", ".hidden", "ä"]) func `a name that is no file's is refused`(name: String)
        async throws
    {
        try await FolderStoreTests.run { folder in
            let store = FolderObjectStore(root: folder)
            let shelf = ArtifactShelf(store, at: try prefix("models/a"))
            let artifact = Artifact(name, ObjectContent([1], mediaType: "text/plain"))
            let error = await #expect(throws: ObjectStoreError.self) {
                try await shelf.publish([artifact], attempt: 1)
            }
            #expect(error?.code == .invalid)
        }
    }

    @Test func `a file of the disk is stored in pieces`() async throws {
        try await FolderStoreTests.run { folder in
            let bytes = pattern(3 << 20)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data(bytes).write(to: URL(filePath: "\(folder)/model.bin"))
            let store = FolderObjectStore(root: "\(folder)/objects")
            let content = try ObjectContent.file("\(folder)/model.bin", mediaType: "application/octet-stream")
            try await store.put(try key("model"), content)
            #expect(try await store.bytes(try key("model"), bytesMax: 4 << 20) == bytes)
            let error = await #expect(throws: ObjectStoreError.self) {
                try await store.bytes(try key("model"), bytesMax: 100)
            }
            #expect(error?.code == .invalid)
            #expect(throws: ObjectFileError.self) {
                try ObjectContent.file("\(folder)/none", mediaType: "text/plain")
            }
        }
    }
}

/// Does so many puts and then nothing any more, as a writer that was killed.
private final class DyingStore: ObjectStore {
    private let store: any ObjectStore
    private let putsLeft: Mutex<Int>

    init(_ store: any ObjectStore, putsMax: Int) {
        self.store = store
        putsLeft = Mutex(putsMax)
    }

    private var dead: ObjectStoreError {
        ObjectStoreError(.unavailable, operation: "any", detail: "was killed")
    }

    func put(_ key: ObjectKey, _ content: ObjectContent) async throws(ObjectStoreError) -> ObjectInfo {
        let isAlive = putsLeft.withLock { left in
            left -= 1
            return left >= 0
        }
        guard isAlive else { throw dead }
        return try await store.put(key, content)
    }

    func get(
        _ key: ObjectKey, range: Range<Int64>?, body: @Sendable ([UInt8]) async throws -> Void
    ) async throws { try await store.get(key, range: range, body: body) }

    func info(_ key: ObjectKey) async throws(ObjectStoreError) -> ObjectInfo? { try await store.info(key) }

    func list(_ prefix: ObjectPrefix, body: @Sendable ([ObjectInfo]) async throws -> Void) async throws {
        try await store.list(prefix, body: body)
    }

    func delete(_ key: ObjectKey) async throws(ObjectStoreError) { throw dead }
    func discardUnfinished(under prefix: ObjectPrefix) async throws(ObjectStoreError) {
        try await store.discardUnfinished(under: prefix)
    }

    func check() async throws(ObjectStoreError) {}
    func close() async {}
}
