import Foundation
import GNNTrainer
import GNNTraining
import GraphLearning
import ObjectStores
import Synchronization
import TestSupport
import Testing
import Workflow

@Suite(.timeLimit(.minutes(8)))
struct TrainingRunTests {
    @Test func `a stored graph becomes the snapshots it was made of`() async throws {
        try await TrainerStage.with { stage in
            let reader = GraphReader(store: stage.graphs, graph: try stage.job().graph)
            let version = try await reader.version(nil)
            let origin = try reader.origin(of: version)
            #expect(origin.intervalMilliseconds == 3_600_000 && origin.methods == TrainerStage.methods)
            let columns = try await reader.columns(of: version, origin)
            #expect(columns.columns.features == stage.market.columns.features)
            #expect(columns.columns.edgeFeatures == ["weight", "lag", "is_pearson", "is_lead_lag"])
            let series = try await reader.series(of: version, columns)
            #expect(series.times == stage.market.times)
            for (read, made) in zip(series.snapshots, stage.market.snapshots) {
                #expect(read.symbols == made.symbols && read.features == made.features)
                #expect(read.prices == made.prices)
                #expect(Self.edges(of: read) == Self.expectedEdges(of: made))
            }
            #expect(try await reader.newest(of: version, columns) == series.snapshots.last)
        }
    }

    private static func edges(of snapshot: GraphSnapshot) -> Set<[Float]> {
        Set(
            snapshot.edges.sources.indices.map { edge in
                [Float(snapshot.edges.sources[edge]), Float(snapshot.edges.targets[edge])]
                    + snapshot.edges.features[edge * 4..<edge * 4 + 4]
            })
    }

    /// An edge without direction is there both ways.
    private static func expectedEdges(of snapshot: GraphSnapshot) -> Set<[Float]> {
        Set(
            snapshot.edges.sources.indices.flatMap { edge -> [[Float]] in
                let ends = [Float(snapshot.edges.sources[edge]), Float(snapshot.edges.targets[edge])]
                let weight = snapshot.edges.features[edge * 2]
                if edge % 3 == 0 { return [ends + [weight, 2, 0, 1]] }
                return [ends + [weight, 0, 1, 0], ends.reversed() + [weight, 0, 1, 0]]
            })
    }

    @Test func `a model is published as a whole, and who asks for the same finds it`() async throws {
        try await TrainerStage.with { stage in
            let epochs = Mutex(0)
            let hooks = GNNHooks(
                observe: { if case .training(.epochEnded) = $0 { epochs.withLock { $0 += 1 } } },
                now: { 1_700_000_000 })
            guard case .finished(let counts, let extra) = try await stage.train(try stage.job(), hooks) else {
                Issue.record("it was not finished")
                return
            }
            #expect(counts.recordsWritten == 7 && counts.recordsRead > 1_000)
            let place = try #require(extra["model_place"]?.string)
            let names = try stage.files().keys.map { String($0.split(separator: "/").last ?? "") }.sorted()
            #expect(
                names == [
                    "README.md", "artifacts.json", "example.json", "history.csv", "metrics.json",
                    "model.json", "model.safetensors", "report.html",
                ], "and no checkpoint")
            #expect(try stage.files().keys.allSatisfy { $0.hasPrefix(place) })
            #expect(extra["graph_version"]?.string == TrainerStage.version)
            #expect(extra["metrics"]?.members?["gatv2"]?.members?["auc"] != nil)
            #expect(epochs.withLock { $0 } == 8)
            let again = try await stage.train(try stage.job(attempt: 2), hooks)
            #expect(again == .finished(counts, extra: extra))
            #expect(epochs.withLock { $0 } == 8, "nothing was trained again")
        }
    }

    @Test func `the report holds its pictures and the verdict, and asks nobody for anything`() async throws {
        try await TrainerStage.with { stage in
            _ = try await stage.train(try stage.job())
            let files = try stage.files()
            let html = String(
                decoding: try #require(files.first { $0.key.hasSuffix("report.html") }?.value), as: UTF8.self)
            let metrics = try #require(files.first { $0.key.hasSuffix("metrics.json") }?.value)
            let report = try JSONDecoder().decode(TrainingReport.self, from: metrics)
            let words = [
                "Loss of gatv2", "Loss of gatv2_without_edges", "Balanced accuracy on the validation part",
                "Graph network", "Calibration",
                "Graph of 8 symbols", report.summary,
            ]
            #expect(words.allSatisfy { html.contains($0) })
            #expect(html.split(separator: "<svg ").count == 9)
            #expect(!html.contains("NaN") && !html.contains("src=") && !html.contains("href="))
            let card = String(
                decoding: try #require(files.first { $0.key.hasSuffix("README.md") }?.value), as: UTF8.self)
            #expect(card.contains(report.summary) && card.contains("| gatv2 |"))
        }
    }

    @Test func `a stopped attempt leaves a checkpoint, and the next one makes the bytes of a calm run`()
        async throws
    {
        try await TrainerStage.with { stage in
            let expected = try await Self.published(stage) { _ in GNNHooks(now: { 1_700_000_000 }) }
            try FileManager.default.removeItem(atPath: stage.folder + "/objects/models")
            let seen = Mutex<[String]>([])
            let made = try await Self.published(stage) { attempt in
                let epochs = Mutex(0)
                return GNNHooks(
                    shouldStop: { epochs.withLock { $0 } >= 2 && attempt < 3 },
                    observe: { observation in
                        if case .training(.epochEnded) = observation { epochs.withLock { $0 += 1 } }
                        if case .training(.resumed(let fit, let done)) = observation {
                            seen.withLock { $0.append("\(attempt): \(fit) \(done)") }
                        }
                    }, now: { 1_700_000_000 })
            }
            #expect(made == expected)
            #expect(seen.withLock { $0 } == ["2: gatv2 3", "3: gatv2 4", "3: gatv2_without_edges 2"])
        }
    }

    /// Trains until it is finished, an attempt after the other, and gives the published files.
    private static func published(
        _ stage: TrainerStage, _ hooks: (_ attempt: Int) -> GNNHooks
    ) async throws -> [String: Data] {
        for attempt in 1...4 {
            let job = try stage.job(attempt: attempt)
            let outcome = try await stage.train(job, hooks(attempt))
            #expect(!FileManager.default.fileExists(atPath: job.workFolder))
            if case .finished = outcome { break }
            let names = try stage.files().keys
            #expect(!names.contains { $0.hasSuffix("artifacts.json") }, "nothing is visible yet")
        }
        let files = try stage.files().filter { !$0.key.hasSuffix("artifacts.json") }
        return Dictionary(
            uniqueKeysWithValues: files.map { (String($0.key.split(separator: "/").last ?? ""), $0.value) })
    }

    @Test func `a model is asked about the newest snapshot, and predictions are stored once`() async throws {
        try await TrainerStage.with { stage in
            guard case .finished(_, let extra) = try await stage.train(try stage.job()),
                let place = extra["model_place"]?.string.flatMap({ ModelPlace($0) })
            else {
                Issue.record("it was not finished")
                return
            }
            let collection = try #require(CollectionName("predictions"))
            let job = InferenceJob(
                graph: try stage.job().graph, place: place, collection: collection)
            for _ in 1...2 {
                let outcome = try await InferenceRun(
                    job, graphs: stage.graphs, objects: stage.objects, hooks: GNNHooks(now: { 0 })
                ).run()
                guard case .finished(let counts, let said) = outcome else {
                    Issue.record("it was not finished")
                    return
                }
                #expect(counts.recordsWritten == 8)
                #expect(said["as_of"]?.integer == stage.market.times.last)
            }
            let stored = try await stage.graphs.allDocuments(in: collection, where: [])
                .map { try MessageCodec.decode(JSONValue.self, from: $0.json) }
            #expect(stored.count == 8)
            for document in stored {
                let shares = document.members?["probabilities"]?.members ?? [:]
                #expect(Set(shares.keys) == ["down", "flat", "up"])
                #expect(abs(shares.values.compactMap(Self.number).reduce(0, +) - 1) < 1e-6)
                let best = shares.max { (Self.number($0.value) ?? 0) < (Self.number($1.value) ?? 0) }?.key
                #expect(document.members?["direction"]?.string == best)
                #expect(document.members?["model_id"]?.string == place.id)
            }
        }
    }

    private static func number(_ value: JSONValue) -> Double? {
        if case .number(let number) = value { number } else { nil }
    }

    @Test func `a graph that was built otherwise is no question for the model`() async throws {
        try await TrainerStage.with { stage in
            guard case .finished(_, let extra) = try await stage.train(try stage.job()),
                let place = extra["model_place"]?.string.flatMap({ ModelPlace($0) })
            else {
                Issue.record("it was not finished")
                return
            }
            let graph = try stage.job().graph
            let key = TrainerStage.version
            let documents = try await stage.graphs.allDocuments(
                in: graph.versions, where: [GraphDocumentKind.version.member])
            var members =
                try MessageCodec.decode(
                    JSONValue.self, from: try #require(documents.first).json, bytesMax: 1 << 20
                ).members ?? [:]
            members["interval"] = .string("5m")
            try await stage.graphs.writeVersionDocument(.object(members), key: key, of: graph)
            let job = InferenceJob(
                graph: graph, place: place, collection: try #require(CollectionName("predictions")))
            let error = await #expect(throws: GNNTrainerError.self) {
                _ = try await InferenceRun(
                    job, graphs: stage.graphs, objects: stage.objects, hooks: GNNHooks(now: { 0 })
                ).run()
            }
            #expect(error?.code == .noModel && error?.detail.contains("5m") == true)
        }
    }

    @Test func `what cannot be learned is told before anything is trained`() async throws {
        try await TrainerStage.with { stage in
            var job = try stage.job()
            job.version = GraphVersionID("00000000000000bb")
            await #expect(throws: GNNTrainerError.self) { _ = try await stage.train(job) }
            job = try stage.job()
            job.graph = try #require(GraphName("nowhere"))
            let missing = await #expect(throws: GNNTrainerError.self) { _ = try await stage.train(job) }
            #expect(missing?.code == .noGraph)
            job = try stage.job()
            job.options.horizonCandles = 1_000
            await #expect(throws: TrainingError.self) { _ = try await stage.train(job) }
            #expect(try stage.files().isEmpty)
        }
    }

    @Test(.enabled(if: ReferencePython.isWanted, "\(ReferencePython.skipReason)"))
    func `the example in Python repeats the predictions of a published model`() async throws {
        try await TrainerStage.with { stage in
            _ = try await stage.train(try stage.job())
            let pointer = try #require(try stage.files().keys.first { $0.hasSuffix("artifacts.json") })
            let set = try JSONDecoder().decode(
                ArtifactSet.self, from: try #require(try stage.files()[pointer]))
            let place = pointer.split(separator: "/").dropLast().joined(separator: "/")
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let printed = try await ReferencePython.run(
                root.appending(path: "examples/predict.py").path,
                arguments: ["\(stage.folder)/objects/\(place)/\(set.folder)"], usesTorch: true)
            #expect(printed.contains("8 symbols, largest difference"), "\(printed)")
        }
    }
}
