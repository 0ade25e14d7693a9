import FoundationEssentials
import KubernetesBridge
import Synchronization
import TestSupport
import Testing

/// The client and the reflector against a real API server.
@Suite(.enabled(if: TestCluster.isWanted, Comment(rawValue: TestCluster.skipReason)), .timeLimit(.minutes(2)))
struct RealServerTests {
    private func withClient(_ body: (KubernetesClient) async throws -> Void) async throws {
        let kubeconfig = try #require(TestCluster.kubeconfig, "KUBECONFIG is not set")
        let client = KubernetesClient(try Kubeconfig.read(kubeconfig))
        do {
            try await body(client)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private func configMap(_ name: String, _ value: String, label: String) -> [UInt8] {
        Array(
            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\#(name)","labels":{"of":"\#(label)"}},"data":{"key":"\#(value)"}}"#
                .utf8)
    }

    @Test func `creates, reads, changes and deletes an object`() async throws {
        try await withClient { client in
            let name = uniqueName("map")
            let made = try await client.create(
                .configMaps, name: name, json: configMap(name, "one", label: name))
            let again = await #expect(throws: KubernetesError.self) {
                try await client.create(.configMaps, name: name, json: configMap(name, "two", label: name))
            }
            #expect(again?.code == .alreadyExists)
            let changed = try await client.mergePatch(
                .configMaps, name: name, json: Array(#"{"metadata":{"annotations":{"a":"b"}}}"#.utf8))
            #expect(changed.metadata.annotations["a"] == "b")
            #expect(changed.metadata.uid == made.metadata.uid)
            #expect(changed.metadata.resourceVersion != made.metadata.resourceVersion)

            let other = await #expect(throws: KubernetesError.self) {
                try await client.delete(.configMaps, name: name, uid: "another", .background)
            }
            #expect(other?.code == .conflict)
            try await client.delete(.configMaps, name: name, uid: made.metadata.uid, .background)
            let gone = await #expect(throws: KubernetesError.self) {
                _ = try await client.get(.configMaps, name: name)
            }
            #expect(gone?.code == .notFound)
        }
    }

    @Test func `server-side apply creates, changes, and refuses what another manager owns`() async throws {
        try await withClient { client in
            let name = uniqueName("applied")
            func apply(_ value: String, _ manager: String) async throws -> PlainObject {
                try await client.apply(
                    .configMaps, name: name, json: configMap(name, value, label: name), manager: manager)
            }
            let made = try await apply("one", "first")
            #expect(try await apply("two", "first").metadata.uid == made.metadata.uid)
            let error = await #expect(throws: KubernetesError.self) { _ = try await apply("three", "second") }
            #expect(error?.code == .conflict)
            try await client.delete(.configMaps, name: name, uid: made.metadata.uid, .background)
        }
    }

    @Test func `an object that is not right is invalid, and says where`() async throws {
        try await withClient { client in
            let error = await #expect(throws: KubernetesError.self) {
                try await client.create(
                    .configMaps, name: "Not Legal", json: configMap("Not Legal", "x", label: "x"))
            }
            #expect(error?.code == .invalid)
            #expect(error?.detail.contains("metadata.name") == true)
        }
    }

    @Test func `a wrong token is unauthorized`() async throws {
        try await withClient { client in
            var configuration = client.configuration
            configuration.credential = .token("wrong")
            configuration.identity = nil
            let stranger = KubernetesClient(configuration)
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await stranger.get(.configMaps, name: "any")
            }
            #expect(error?.code == .unauthorized)
            await stranger.close()
        }
    }

    @Test func `lists in pages and by label`() async throws {
        try await withClient { client in
            let label = uniqueName("page")
            var limits = KubernetesClient.Limits()
            limits.pageObjectsMax = 2
            let pager = KubernetesClient(client.configuration, limits: limits)
            var made: [PlainObject] = []
            for number in 0..<5 {
                let name = "\(label)-\(number)"
                made.append(
                    try await client.create(.configMaps, name: name, json: configMap(name, "x", label: label))
                )
            }
            let first = try await pager.page(.configMaps, LabelSelector(["of": label]))
            #expect(first.items.count == 2 && first.next != nil)
            let all = try await pager.list(.configMaps, LabelSelector(["of": label]))
            #expect(Set(all.items.map(\.metadata.uid)) == Set(made.map(\.metadata.uid)))
            for object in made {
                try await client.delete(
                    .configMaps, name: object.metadata.name, uid: object.metadata.uid, .background)
            }
            await pager.close()
        }
    }

    @Test func `the reflector sees what is there, what comes, changes and goes`() async throws {
        try await withClient { client in
            let label = uniqueName("seen")
            let (news, continuation) = AsyncStream<String>.makeStream()
            let reflector = Reflector(client, .configMaps, LabelSelector(["of": label])) { news in
                switch news {
                case .replaced(let objects): continuation.yield("all \(objects.count)")
                case .set(let object): continuation.yield("set \(object.metadata.annotations.count)")
                case .removed: continuation.yield("removed")
                case .connected: break
                case .failed(let error): continuation.yield("failed \(error)")
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await reflector.run() }
                var told = news.makeAsyncIterator()
                #expect(await told.next() == "all 0")
                let made = try await client.create(
                    .configMaps, name: label, json: configMap(label, "x", label: label))
                #expect(await told.next() == "set 0")
                _ = try await client.mergePatch(
                    .configMaps, name: label, json: Array(#"{"metadata":{"annotations":{"a":"b"}}}"#.utf8))
                #expect(await told.next() == "set 1")
                try await client.delete(.configMaps, name: label, uid: made.metadata.uid, .background)
                #expect(await told.next() == "removed")
                group.cancelAll()
            }
        }
    }
}
