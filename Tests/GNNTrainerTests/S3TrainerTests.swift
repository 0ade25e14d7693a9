import Foundation
import GNNTrainer
import KafkaBridge
import ObjectStoreSupport
import ObjectStores
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// The trainer and who asks models, against a real S3 server with verified signatures.
@Suite(
    .serialized, .timeLimit(.minutes(10)), .enabled(if: SeaweedFS.isWanted, "\(SeaweedFS.skipReason)"))
struct S3TrainerTests {
    private static let names = [
        "README.md", "example.json", "history.csv", "metrics.json", "model.json", "model.safetensors",
        "report.html",
    ]

    private static func with(_ body: (TrainerStage, SeaweedFS) async throws -> Void) async throws {
        try await SeaweedFS.run { server in
            try await TrainerStage.with(objects: S3ObjectStore(server.settings())) { stage in
                try await body(stage, server)
            }
        }
    }

    private static func keys(_ store: any ObjectStore) async throws -> [String] {
        let found = Keys()
        try await store.list(.all) { await found.add($0.map(\.key.rawValue)) }
        return await found.all
    }

    /// A server that was just started lists what it has before it can give all of it.
    private static func readableKeys(_ store: any ObjectStore) async throws -> [String] {
        let keys = try await keys(store)
        let deadline = ContinuousClock.now + .seconds(60)
        for key in keys {
            while true {
                do {
                    try await store.get(try #require(ObjectKey(key)), range: nil) { _ in }
                    break
                } catch let error as ObjectStoreError where error.isRetriable {
                    guard ContinuousClock.now < deadline else { throw error }
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        }
        return keys
    }

    private actor Keys {
        private(set) var all: [String] = []
        func add(_ more: [String]) { all += more }
    }

    private static func shelf(_ store: any ObjectStore, _ place: String) throws -> ArtifactShelf {
        ArtifactShelf(store, at: try #require(ObjectPrefix(place)))
    }

    @Test func `a model is seen in a bucket at once or not at all, and is asked from there`() async throws {
        try await Self.with { stage, server in
            let before = KeysBefore()
            var hooks = GNNHooks(now: { 1_700_000_000 })
            let reader = S3ObjectStore(server.settings())
            hooks.waitToWrite = {
                // Before files are put, and while checkpoints are copied: nobody sees a model.
                await before.add(try await Self.keys(reader).filter { $0.hasSuffix("artifacts.json") })
                return true
            }
            guard case .finished(let counts, let extra) = try await stage.train(try stage.job(), hooks) else {
                Issue.record("it was not finished")
                return
            }
            let (asked, seen) = await (before.asked, before.all)
            #expect(asked > 0 && seen.isEmpty)
            let place = try #require(extra["model_place"]?.string)
            let set = try #require(try await Self.shelf(reader, place).published())
            #expect(set.artifacts.map(\.name) == Self.names && counts.recordsWritten == 7)
            let expected = set.artifacts.map { "\(place)/\(set.folder)/\($0.name)" }
            #expect(try await Self.keys(reader) == (expected + ["\(place)/artifacts.json"]).sorted())
            for artifact in set.artifacts {
                // Checks each against its SHA-256.
                try await Self.shelf(reader, place).read(artifact.name, of: set) { _ in }
            }
            await reader.close()

            let job = InferenceJob(
                graph: try stage.job().graph, place: try #require(ModelPlace(place)),
                collection: try #require(CollectionName("predictions")))
            let outcome = try await InferenceRun(
                job, graphs: stage.graphs, objects: stage.objects, hooks: GNNHooks(now: { 0 })
            ).run()
            guard case .finished(let predicted, _) = outcome else {
                Issue.record("it was not finished")
                return
            }
            #expect(predicted.recordsWritten == 8)
        }
    }

    private actor KeysBefore {
        private(set) var asked = 0
        private(set) var all: [String] = []
        func add(_ keys: [String]) {
            asked += 1
            all += keys
        }
    }

    @Test func `a server that is gone while a model is published fails the attempt, and the next publishes`()
        async throws
    {
        try await Self.with { stage, server in
            var hooks = GNNHooks(now: { 1_700_000_000 })
            // All files are there, and nobody sees them.
            hooks.beforeShow = { server.child.signal(SIGKILL) }
            let error = await #expect(throws: ObjectStoreError.self) {
                _ = try await stage.train(try stage.job(), hooks)
            }
            #expect(error?.code == .unavailable && error?.isRetriable == true, "\(error.debugDescription)")
            #expect(error?.operation.contains("artifacts.json") == true)
            _ = await server.child.waitForExit(timeout: .seconds(30))

            let again = try await server.restarted()
            let left = try await Self.readableKeys(stage.objects)
            #expect(left.count { $0.contains("/files-1-") } == 7)
            #expect(!left.contains { $0.hasSuffix("artifacts.json") })
            guard case .finished(_, let extra) = try await stage.train(try stage.job(attempt: 2)) else {
                Issue.record("it was not finished")
                return
            }
            let place = try #require(extra["model_place"]?.string)
            let keys = try await Self.keys(stage.objects)
            #expect(keys.count == 8 && keys.allSatisfy { $0.hasPrefix(place) })
            #expect(keys.count { $0.contains("/files-2-") } == 7, "what attempt 1 left is gone: \(keys)")
            await again.child.terminate(grace: .seconds(10))
        }
    }

    @Test func `a wrong secret, a missing bucket and a cut connection are told by the attempt's last event`()
        async throws
    {
        try await Self.with { stage, server in
            try await withBroker { kafka in
                let topics = try await TrainerProcess.topics(kafka)
                let cases: [([String: String], Int32, String)] = [
                    (["S3_SECRET_KEY": "wrong-secret-1"], 21, "SignatureDoesNotMatch"),
                    (["S3_BUCKET": "no-such-bucket"], 21, "there is no bucket no-such-bucket"),
                    // Nobody listens there.
                    (["S3_ENDPOINT": "http://127.0.0.1:1"], 20, "unavailable"),
                ]
                for (attempt, (changes, code, _)) in cases.enumerated() {
                    let process = try await TrainerProcess.start(
                        stage, kafka, topics, attempt: attempt + 1,
                        Self.variables(server).merging(changes) { _, new in new })
                    #expect(await process.waitForExit(timeout: .seconds(120)) == .code(code))
                }
                let ends = try await TrainerProcess.finalEvents(kafka, topics.events)
                #expect(ends.map(\.status) == [.error, .error, .error])
                for (event, (_, _, words)) in zip(ends, cases) {
                    #expect(event.error?.contains(words) == true, "\(event)")
                    #expect(event.error?.contains("wrong-secret-1") == false)
                }
                let log = try String(contentsOfFile: stage.folder + "/log", encoding: .utf8)
                #expect(!log.contains("wrong-secret-1") && !log.contains(SeaweedFS.secretKey))
                #expect(try await Self.keys(stage.objects) == [])
            }
        }
    }

    @Test func `a trainer killed while it publishes is followed by one that publishes once`() async throws {
        try await Self.with { stage, server in
            try await withBroker { kafka in
                let topics = try await TrainerProcess.topics(kafka)
                let pages = stage.folder + "/pages"
                try FileManager.default.createDirectory(atPath: pages, withIntermediateDirectories: true)
                var variables = Self.variables(server)
                variables["CRASH_POINTS_DIR"] = pages
                // Once before the model is to be seen, once after that.
                for (attempt, point) in [(1, CrashPoint.beforePositionCommit), (2, .afterStoreWrite)] {
                    let process = try await TrainerProcess.start(
                        stage, kafka, topics, attempt: attempt, variables)
                    try await hold(process, pages: pages, at: point, count: 1, limit: .seconds(200))
                    let keys = try await Self.keys(stage.objects)
                    #expect(keys.count { $0.contains("/files-\(attempt)-") } == 7)
                    #expect(keys.contains { $0.hasSuffix("artifacts.json") } == (attempt == 2))
                    process.identity.signalGroup(SIGKILL)
                    #expect(await process.waitForExit(timeout: .seconds(30)) == .signal(SIGKILL))
                }
                #expect(try await Self.keys(stage.objects).contains { $0.contains("/checkpoints/") })
                let last = try await TrainerProcess.start(stage, kafka, topics, attempt: 3, variables)
                #expect(await last.waitForExit(timeout: .seconds(200)) == .code(0))
                let keys = try await Self.keys(stage.objects)
                #expect(keys.count == 8 && keys.count { $0.contains("/files-2-") } == 7, "\(keys)")
                let end = try #require(try await TrainerProcess.finalEvents(kafka, topics.events).last)
                #expect(end.attempt == 3 && end.status == .finished && end.recordsWritten == 7)
                try await Self.ask(
                    try #require(end.extra?["model_place"]?.string), stage, kafka, topics, server)
            }
        }
    }

    /// The real `gnn-infer`, with the model in the bucket.
    private static func ask(
        _ place: String, _ stage: TrainerStage, _ kafka: KafkaConnection, _ topics: TrainerProcess.Topics,
        _ server: SeaweedFS
    ) async throws {
        let changes = [
            "STEP": "infer", "TYPE": "gnn_infer", "MODEL_PLACE": place, "COLLECTION_OUTPUT": "asked",
        ]
        let process = try await TrainerProcess.start(
            stage, kafka, topics, kind: "gnn-infer", attempt: 1,
            variables(server).merging(changes) { _, new in new })
        #expect(await process.waitForExit(timeout: .seconds(120)) == .code(0))
        let collection = try #require(CollectionName("asked"))
        #expect(try await stage.graphs.allDocuments(in: collection, where: []).count == 8)
    }

    private static func variables(_ server: SeaweedFS) -> [String: String] {
        [
            "S3_ENDPOINT": server.endpoint, "S3_BUCKET": SeaweedFS.bucket,
            "S3_ACCESS_KEY": SeaweedFS.accessKey, "S3_SECRET_KEY": SeaweedFS.secretKey, "EPOCHS": "6",
            "GNN_CHECKPOINT_EVERY": "1",
        ]
    }
}
