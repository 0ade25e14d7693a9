import Foundation
import TestSupport
import Testing
import Workflow

@testable import ObjectStores

struct FolderStoreTests {
    /// A new folder, removed afterwards.
    static func run(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "objects-\(UUID().uuidString)")
            .path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    static func files(_ folder: String) -> [String] {
        (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []).sorted()
    }

    @Test func `keeps the contract of an object store`() async throws {
        try await Self.run { folder in
            let store = FolderObjectStore(root: "\(folder)/made/when/needed")
            try await exerciseObjectStore(store, largeBytes: 5 << 20, countMany: 1_003)
            #expect(Self.files("\(folder)/made/when/needed").isEmpty)
        }
    }

    @Test func `an object that is being written is not seen, and its rest is removed`() async throws {
        try await Self.run { folder in
            let store = FolderObjectStore(root: folder)
            let name = try key("a/b/model")
            try await store.put(name, ObjectContent(Array("old".utf8), mediaType: "text/plain"))
            let slow = ObjectContent(byteCount: 4, mediaType: "text/plain") { _ in
                #expect(try await store.read(name) == Array("old".utf8))
                #expect(try await store.keys(.all) == ["a/b/model"])
                #expect(Self.files(folder).count { $0.hasSuffix(".unfinished") } == 1)
                // As if its writer were gone.
                try await store.discardUnfinished(under: try prefix("a/other"))
                #expect(Self.files(folder).count { $0.hasSuffix(".unfinished") } == 1)
                try await store.discardUnfinished(under: try prefix("a"))
                #expect(Self.files(folder).count { $0.hasSuffix(".unfinished") } == 0)
                return Array("new!".utf8)
            }
            let error = await #expect(throws: ObjectStoreError.self) { try await store.put(name, slow) }
            #expect(error?.code == .superseded)
            #expect(try await store.read(name) == Array("old".utf8))
            #expect(Self.files(folder) == ["a", "a/b", "a/b/model"])
        }
    }

    @Test func `a file where a folder should be is told`() async throws {
        try await Self.run { folder in
            let store = FolderObjectStore(root: folder)
            let content = ObjectContent([1], mediaType: "text/plain")
            try await store.put(try key("a"), content)
            for name in ["a/b", "a/b/c"] {
                let error = await #expect(throws: ObjectStoreError.self) {
                    try await store.put(try key(name), content)
                }
                #expect(error?.code == .invalid)
                #expect(try await store.info(try key(name)) == nil)
            }
            let error = await #expect(throws: ObjectStoreError.self) {
                try await FolderObjectStore(root: "\(folder)/a").check()
            }
            #expect(error?.isRetriable == false)
        }
    }

    @Test(.enabled(if: TemporaryDisk.isPossible, "\(TemporaryDisk.skipReason)"))
    func `a full disk is told, and nothing of the object stays`() async throws {
        try await TemporaryDisk.run(megabytes: 2) { folder in
            let store = FolderObjectStore(root: folder)
            try await store.put(try key("a/small"), ObjectContent([1], mediaType: "text/plain"))
            let large = ObjectContent(pattern(3 << 20), mediaType: "text/plain")
            let error = await #expect(throws: ObjectStoreError.self) {
                try await store.put(try key("a/large"), large)
            }
            #expect(error?.code == .full)
            #expect(error?.description == "put a/large: full: \(folder): No space left on device")
            #expect(Self.files(folder) == ["a", "a/small"])
            try await store.put(try key("a/fits"), ObjectContent(pattern(1 << 20), mediaType: "text/plain"))
        }
    }
}
