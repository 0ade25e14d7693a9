import Foundation
import GraphBuilder
import GraphModel
import Testing
import Workflow

@Suite(.timeLimit(.minutes(3)))
struct GraphBuildTests {
    private func documents(
        _ part: GraphPart, _ stage: GraphStage, _ snapshot: SnapshotID
    ) async throws -> [JSONValue] {
        var documents: [JSONValue] = []
        try await stage.store.scan(part, of: try GraphStage.job().graph, snapshot, pageDocumentsMax: 3) {
            documents += try $0.map { try MessageCodec.decode(JSONValue.self, from: $0.json) }
        }
        return documents
    }

    @Test func `what is stored is what the model computes from the stored candles`() async throws {
        try await GraphStage.with { stage in
            try await stage.storeCandles()
            let job = try GraphStage.job()
            let outcome = try await stage.build(job)
            let version = try #require(try await stage.store.versions(of: job.graph).first)
            let builder = SnapshotBuilder(GraphStage.frame(), GraphStage.parameters)
            #expect(version.snapshots == builder.ends.map { job.grid.closeTime($0) })
            #expect(version.snapshots.count == 3)
            var written: Int64 = 0
            for end in builder.ends {
                let expected = builder.snapshot(end: end)
                let id = SnapshotID(version: version.id, asOf: expected.asOf)
                let vertices = try await documents(.vertices, stage, id)
                #expect(vertices.map { $0["symbol"]?.string } == expected.nodes.map(\.symbol))
                for (vertex, node) in zip(vertices, expected.nodes) {
                    let features = expected.report.features.map { vertex["features"]?[$0]?.number }
                    #expect(features == node.features)
                    #expect(vertex["close"]?.number == node.close && node.close != nil)
                }
                let edges = try await documents(.edges, stage, id)
                let wanted = expected.edges.map { edge in
                    let ends = [edge.from, edge.to].map { id.vertexKey(expected.nodes[$0].symbol) }
                    return [ends[0], ends[1], edge.method.rawValue, "\(edge.weight)", "\(edge.lag)"]
                }
                let found = edges.map { edge in
                    let ends = ["_from", "_to"].map { edge[$0]?.string?.split(separator: "/").last ?? "" }
                    let (weight, lag) = (edge["weight"]?.number ?? .nan, edge["lag"]?.integer ?? -1)
                    return [
                        String(ends[0]), String(ends[1]), edge["method"]?.string ?? "", "\(weight)", "\(lag)",
                    ]
                }
                #expect(Set(found) == Set(wanted) && found.count == wanted.count && !found.isEmpty)
                #expect(edges.allSatisfy { $0["window"]?.integer == 60 })
                written += Int64(vertices.count + edges.count)
            }
            #expect(outcome.counts == InstanceCounts(recordsRead: 600, recordsWritten: written))
            #expect(version.vertices + version.edges == written)
        }
    }

    @Test func `the provenance tells inputs, parameters and what was left out`() async throws {
        try await GraphStage.with { stage in
            // The last symbol was listed late, the first one lacks an hour.
            try await stage.storeCandles { symbol, hour in
                symbol == 4 ? hour > 90 : !(symbol == 0 && hour == 30)
            }
            let job = try GraphStage.job(GraphParameters(rule: .topK(2)))
            _ = try await stage.build(job)
            let version = try #require(try await stage.store.versions(of: job.graph).first)
            let inputs = version.provenance["inputs"]?.items ?? []
            #expect(inputs.map { $0["candles"]?.integer } == [119, 120, 120, 120, 29])
            #expect(inputs[4]["first_open_time"]?.integer == GraphStage.start + 91 * GraphStage.hour)
            #expect(version.provenance["parameters"]?["top_k"]?.integer == 2)
            #expect(version.provenance["queue_id"]?.string == "wf-test-abc123")
            let key = try #require(version.newest).keyPrefix
            let reports = try await stage.store.allDocuments(
                in: job.graph.versions, where: [GraphDocumentKind.snapshot.member])
            #expect(reports.map(\.key) == [key])
            let report = try MessageCodec.decode(JSONValue.self, from: reports[0].json)
            #expect(report["excluded"]?.items.first?["symbol"]?.string == "EEEUSDT")
            #expect(report["excluded"]?.items.first?["reason"]?.string == "late_listed")
            #expect(report["gaps"] == .object(["AAAUSDT": .integer(2)]))
            #expect(report["common_returns"]?.integer == 117)
            #expect(report["vertices"]?.integer == 4)
        }
    }

    @Test func `the same candles and parameters give the same version, once`() async throws {
        try await GraphStage.with { stage in
            try await stage.storeCandles()
            let job = try GraphStage.job()
            let first = try await stage.build(job)
            #expect(try await stage.build(job, attempt: 2) == first)
            #expect(try await stage.store.versions(of: job.graph).count == 1)
            var other = job
            other.parameters.rule = .threshold(0.06)
            _ = try await stage.build(other)
            #expect(try await stage.store.versions(of: job.graph).count == 2)
        }
    }

    @Test(arguments: [1, 6, 12, 17, 25, 40])
    func `a build that is stopped anywhere shows nothing, and the next one ends like a calm one`(
        questions: Int
    ) async throws {
        try await GraphStage.with { stage in
            try await stage.storeCandles()
            let job = try GraphStage.job()
            let stop = StopAfter(questions)
            let hooks = GraphHooks(shouldStop: { stop.isNow }, now: { 0 })
            let stopped = try await stage.build(job, hooks)
            #expect(!stopped.isFinished)
            do {
                #expect(try await stage.store.versions(of: job.graph) == [])
            } catch let error as StoreError {
                // It was stopped before it created anything.
                #expect(error.code == .notFound)
            }
            let resumed = try await stage.build(job, attempt: 2)
            let version = try #require(try await stage.store.versions(of: job.graph).first)
            try await stage.store.removeVersion(version.id, of: job.graph)
            #expect(try await stage.build(job, attempt: 3) == resumed)
        }
    }

    @Test func `what an attempt left behind is removed when the candles have changed since`() async throws {
        try await GraphStage.with { stage in
            try await stage.storeCandles { symbol, hour in !(symbol == 1 && hour == 7) }
            let job = try GraphStage.job()
            let stop = StopAfter(30)
            let hooks = GraphHooks(shouldStop: { stop.isNow }, now: { 0 })
            #expect(try await !stage.build(job, hooks).isFinished)
            let members = [GraphVersionState.building.member]
            #expect(try await stage.store.count(in: job.graph.versions, where: members) == 1)
            try await stage.storeCandles()
            #expect(try await stage.build(job, attempt: 2).isFinished)
            #expect(try await stage.store.count(in: job.graph.versions, where: members) == 0)
            let version = try #require(try await stage.store.versions(of: job.graph).first)
            let all = try await stage.store.count(in: job.graph.vertices, where: [])
            #expect(all == version.vertices)
        }
    }

    @Test func `trades tell what candles lack`() async throws {
        try await GraphStage.with { stage in
            try await stage.storeCandles(trades: 0)
            let trades = try GraphStage.collection("trades")
            try await stage.store.ensureCollection(trades, indexes: [])
            for (symbol, name) in GraphStage.symbols.enumerated() {
                var batch = DocumentBatch()
                for id in 0..<GraphStage.hours {
                    let key = "\(name)-t-" + String(repeating: "0", count: 20 - "\(id)".count) + "\(id)"
                    let time = GraphStage.start + Int64(id) * GraphStage.hour + 5
                    let json =
                        "{\"_key\":\"\(key)\",\"symbol\":\"\(name)\",\"trade_id\":\(id),\"price\":\"1\","
                        + "\"quantity\":\"\(15 + symbol)\",\"time\":\(time),\"is_buyer_maker\":\(id % 2 == 0)}"
                    batch.append(key: key.utf8, json: json.utf8)
                }
                _ = try await stage.store.write(batch, to: trades, mode: .insertOrIgnore, advance: nil) { _ in
                }
            }
            let parameters = GraphParameters(features: FeatureParameters(activity: 2))
            let without = try GraphStage.job(parameters)
            _ = try await stage.build(without)
            let with = try GraphStage.job(parameters, trades: "trades")
            let outcome = try await stage.build(with)
            #expect(outcome.counts.recordsRead == 1_200)
            let versions = try await stage.store.versions(of: with.graph)
            #expect(versions.count == 2)
            var features: [[String]] = []
            for version in versions {
                let newest = try #require(version.newest)
                let vertex = try #require(try await documents(.vertices, stage, newest).last)
                features.append((vertex["features"]?.members ?? [:]).keys.sorted())
                guard let rate = vertex["features"]?["trades_per_minute_2"]?.number else { continue }
                #expect(rate == 1.0 / 60)
                // Of volumes 20 + 119 % 7 and 20 + 118 % 7 takers bought 19 in the last hour.
                let imbalance = try #require(vertex["features"]?["taker_imbalance_2"]?.number)
                #expect(abs(imbalance - (2 * 19 / 46.0 - 1)) < 1e-12)
            }
            #expect(Set(features.map(\.count)) == [7, 9])
        }
    }

    @Test func `candles that make no graph are refused with the reason`() async throws {
        try await GraphStage.with { stage in
            func problem(_ job: GraphJob) async throws -> GraphBuilderError {
                try await #require(throws: GraphBuilderError.self) { try await stage.build(job) }
            }
            let missing = await #expect(throws: StoreError.self) {
                try await stage.build(try GraphStage.job())
            }
            #expect(missing?.code == .notFound)
            try await stage.store.ensureCollection(try GraphStage.collection(), indexes: [])
            let empty = try await problem(try GraphStage.job())
            #expect(empty.code == .noGraph)
            let long = try await problem(try GraphStage.job(GraphParameters(window: 120)))
            #expect(long.detail.contains("120 closed candles") && long.detail.contains("needs 121"))
            let large = try await problem(try GraphStage.job(memoryMax: 1_000))
            #expect(large.code == .tooLarge)
            var batch = DocumentBatch()
            let (key, json) = GraphStage.candle(0, 3)
            batch.append(key: key.utf8, json: json.replacing("\"close\":\"", with: "\"close\":\"x").utf8)
            _ = try await stage.store.write(
                batch, to: try GraphStage.collection(), mode: .upsert, advance: nil
            ) { _ in }
            let damaged = try await problem(try GraphStage.job())
            #expect(damaged.code == .badRecord && damaged.detail.contains("no candle"))
        }
    }
}
