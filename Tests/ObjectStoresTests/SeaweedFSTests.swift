import Foundation
import ObjectStoreSupport
import Synchronization
import TestSupport
import Testing
import Workflow

@testable import ObjectStores

/// The S3 store against a real server with verified signatures.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: SeaweedFS.isWanted, "\(SeaweedFS.skipReason)"))
struct SeaweedFSTests {
    @Test func `keeps the contract of an object store`() async throws {
        try await SeaweedFS.run { server in
            let store = S3ObjectStore(server.settings())
            try await exerciseObjectStore(store, largeBytes: 11 << 20, countMany: 1_003)
            await store.close()
        }
    }

    @Test func `a wrong secret, key or bucket is told, and no secret is`() async throws {
        try await SeaweedFS.run { server in
            let cases: [(S3Settings, ObjectStoreError.Code, String)] = [
                (server.settings(secretKey: "wrong-secret-1"), .refused, "SignatureDoesNotMatch"),
                (server.settings(accessKey: "AKIAOTHER"), .refused, "InvalidAccessKeyId"),
                (
                    server.settings(bucket: "no-such-bucket"), .noContainer,
                    "there is no bucket no-such-bucket"
                ),
            ]
            for (settings, code, words) in cases {
                let store = S3ObjectStore(settings)
                let name = try key("models/a")
                let content = ObjectContent([1, 2, 3], mediaType: "text/plain")
                let large = ObjectContent(pattern(6 << 20), mediaType: "text/plain")
                let calls: [@Sendable () async throws -> Void] = [
                    { try await store.check() }, { try await store.put(name, content) },
                    { try await store.put(name, large) }, { _ = try await store.read(name) },
                    { _ = try await store.info(name) }, { _ = try await store.keys(.all) },
                    { try await store.discardUnfinished(under: .all) },
                ]
                for (index, call) in calls.enumerated() {
                    let error = await #expect(throws: ObjectStoreError.self, "call \(index)") {
                        try await call()
                    }
                    #expect(error?.code == code, "call \(index): \(error.debugDescription)")
                    // HEAD has no body to say more.
                    if index != 4 { #expect(error?.detail.contains(words) == true, "call \(index)") }
                    let text = "\(error.debugDescription)"
                    #expect(!text.contains("wrong-secret-1") && !text.contains(SeaweedFS.secretKey))
                }
                await store.close()
            }
            let store = S3ObjectStore(server.settings())
            #expect(try await store.keys(.all) == [])
            await store.close()
        }
    }

    @Test func `a server that dies during an upload leaves nothing to be seen, and the rest is discarded`()
        async throws
    {
        try await SeaweedFS.run { server in
            let store = S3ObjectStore(server.settings())
            let name = try key("models/a/model")
            let killed = Mutex(false)
            let content = ObjectContent(byteCount: 18 << 20, mediaType: "text/plain") { range in
                // Two parts are there.
                if range.lowerBound >= 10 << 20, !killed.withLock({ $0 }) {
                    killed.withLock { $0 = true }
                    server.child.signal(SIGKILL)
                    _ = await server.child.waitForExit(timeout: .seconds(30))
                }
                return [UInt8](repeating: 7, count: range.count)
            }
            let error = await #expect(throws: ObjectStoreError.self) { try await store.put(name, content) }
            #expect(error?.code == .unavailable)
            #expect(error?.isRetriable == true)
            await store.close()

            let again = try await server.restarted()
            let store2 = S3ObjectStore(again.settings())
            #expect(try await store2.info(name) == nil)
            #expect(try await store2.keys(.all) == [])
            #expect(try await uploads(again) == ["models/a/model"])
            try await store2.discardUnfinished(under: try prefix("models/b"))
            #expect(try await uploads(again).count == 1)
            try await store2.discardUnfinished(under: try prefix("models/a"))
            #expect(try await uploads(again) == [])
            try await store2.put(name, content)
            #expect(try await store2.info(name)?.byteCount == 18 << 20)
            await store2.close()
            await again.child.terminate(grace: .seconds(10))
        }
    }

    @Test func `an upload whose connections are cut goes on with new ones`() async throws {
        try await SeaweedFS.run { server in
            // The second part is cut in its middle, and the next try once more.
            try await CuttingProxy.run(to: server.port, bytes: 7 << 20, cuts: 2) { proxy in
                let store = S3ObjectStore(server.settings(through: proxy.port))
                let (name, bytes) = (try key("models/a/model"), pattern(18 << 20))
                try await store.put(name, ObjectContent(bytes, mediaType: "text/plain"))
                #expect(proxy.cuts == 2)
                #expect(try await store.read(name) == bytes)
                #expect(try await uploads(server) == [])
                await store.close()
            }
        }
    }

    @Test(arguments: [2 << 20, 18 << 20])
    func `an object whose connections are always cut is told, and nothing of it is seen`(
        count: Int
    ) async throws {
        try await SeaweedFS.run { server in
            try await CuttingProxy.run(to: server.port, bytes: 1 << 20, cuts: 1_000) { proxy in
                let store = S3ObjectStore(server.settings(through: proxy.port))
                let name = try key("models/a/model")
                let error = await #expect(throws: ObjectStoreError.self) {
                    try await store.put(name, ObjectContent(pattern(count), mediaType: "text/plain"))
                }
                #expect(
                    error?.code == .unavailable && error?.isRetriable == true, "\(error.debugDescription)")
                #expect(proxy.cuts >= 3)
                #expect(!"\(error.debugDescription)".contains(SeaweedFS.secretKey))
                #expect(try await store.info(name) == nil)
                #expect(try await store.keys(.all) == [])
                #expect(try await uploads(server) == [], "what was there was given up")
                await store.close()
            }
        }
    }

    @Test func `an upload that fails or is cancelled gives up its parts`() async throws {
        try await SeaweedFS.run { server in
            struct Unreadable: Error {}
            let store = S3ObjectStore(server.settings())
            let name = try key("models/a/model")
            let failing = ObjectContent(byteCount: 18 << 20, mediaType: "text/plain") { range in
                if range.lowerBound >= 10 << 20 { throw Unreadable() }
                return [UInt8](repeating: 7, count: range.count)
            }
            _ = await #expect(throws: ObjectStoreError.self) { try await store.put(name, failing) }
            #expect(try await uploads(server) == [])

            let (reached, signal) = AsyncStream.makeStream(of: Void.self)
            let slow = ObjectContent(byteCount: 18 << 20, mediaType: "text/plain") { range in
                if range.lowerBound >= 10 << 20 {
                    signal.yield()
                    try await Task.sleep(for: .seconds(3_600))
                }
                return [UInt8](repeating: 7, count: range.count)
            }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { _ = try? await store.put(name, slow) }
                for await _ in reached { break }
                group.cancelAll()
            }
            #expect(try await uploads(server) == [])
            #expect(try await store.keys(.all) == [])
            await store.close()
        }
    }

    @Test(.enabled(if: TemporaryDisk.isPossible, "\(TemporaryDisk.skipReason)"))
    func `a full disk of the server is told, and nothing of the object is seen`() async throws {
        try await TemporaryDisk.run(megabytes: 48) { folder in
            try await SeaweedFS.run(in: folder, volumesMax: 2) { server in
                let store = S3ObjectStore(server.settings())
                for megabytes in [12, 60, 80] {
                    let content = ObjectContent(byteCount: Int64(megabytes) << 20, mediaType: "text/plain") {
                        range in
                        pattern(range.count)
                    }
                    let name = try key("models/m\(megabytes)")
                    if megabytes == 12 {
                        try await store.put(name, content)
                    } else {
                        let error = await #expect(throws: ObjectStoreError.self) {
                            try await store.put(name, content)
                        }
                        // SeaweedFS has no word for it: an error of the server's own.
                        #expect(error?.isRetriable == true, "\(error.debugDescription)")
                    }
                }
                #expect(try await store.keys(.all) == ["models/m12"])
                #expect(try await store.read(try key("models/m12")).count == 12 << 20)
                #expect(try await uploads(server) == [])
                await store.close()
            }
        }
    }

    /// Keys of uploads that are neither completed nor given up.
    private func uploads(_ server: SeaweedFS) async throws -> [String] {
        let connection = S3Connection(server.settings())
        var call = S3Call(.get, operation: "list uploads")
        call.query = [("uploads", "")]
        let list = try #require(S3XML.parse(try await connection.send(call).body))
        await connection.close()
        return list.all("Upload").compactMap { $0.first("Key") }
    }
}
