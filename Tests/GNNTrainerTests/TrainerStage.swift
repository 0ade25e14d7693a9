import DocumentStores
import Foundation
import GNNTrainer
import GNNTraining
import GraphLearning
import ObjectStores
import TestSupport
import Testing
import Workflow

/// A store with the graph of a made-up market, as the graph-builder stores one, and a folder for models.
struct TrainerStage: Sendable {
    static let graph = "made_up"
    static let version = "00000000000000aa"
    static let methods = ["pearson", "lead_lag"]

    let graphs: PostgreSQLDocumentStore
    let objects: any ObjectStore
    /// Of the object store, beside others.
    let folder: String
    /// Of PostgreSQL.
    let url: String
    let market: SnapshotSeries

    /// - Parameter objects: where models go; nil: into a folder.
    static func with(
        objects: (any ObjectStore)? = nil, _ body: (TrainerStage) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: uniqueName("trainer")).path
        try FileManager.default.createDirectory(
            atPath: folder + "/objects", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withPostgres { pool in
            let url = pool.configuration.currentURL()
            let graphs = try await PostgreSQLDocumentStore.open(url)
            let objects = objects ?? FolderObjectStore(root: folder + "/objects")
            do {
                let stage = TrainerStage(
                    graphs: graphs, objects: objects, folder: folder, url: url.revealed,
                    market: try market())
                try await stage.store(stage.market)
                try await body(stage)
            } catch {
                await graphs.close()
                throw error
            }
            await graphs.close()
            await objects.close()
        }
    }

    private static func market() throws -> SnapshotSeries {
        var market = SyntheticMarket()
        market.nodes = 8
        market.snapshots = 160
        return try market.series()
    }

    // MARK: The graph's documents

    func store(_ series: SnapshotSeries) async throws {
        let graph = try #require(GraphName(Self.graph))
        let version = try #require(GraphVersionID(Self.version))
        try await graphs.ensureGraph(graph)
        for snapshot in series.snapshots {
            let id = SnapshotID(version: version, asOf: snapshot.time)
            try await write(
                snapshot.symbols.indices.map { vertex($0, snapshot, series.columns, id) }, to: graph.vertices)
            try await write(
                snapshot.edges.sources.indices.map { edge($0, snapshot, graph, id) }, to: graph.edges)
            let report: JSONValue = .object([
                "_key": .string(id.keyPrefix), "kind": .string("snapshot"),
                "version": .string(version.rawValue),
                "as_of": .integer(snapshot.time),
                "features": .array(series.columns.features.map { .string($0) }),
            ])
            try await graphs.writeVersionDocument(report, key: id.keyPrefix, of: graph)
        }
        let nodes = series.snapshots.reduce(0) { $0 + $1.symbols.count }
        let edges = series.snapshots.reduce(0) { $0 + $1.edges.sources.count }
        let document: JSONValue = .object([
            "_key": .string(version.rawValue), "kind": .string("version"),
            "version": .string(version.rawValue),
            "state": .string("complete"), "interval": .string("1h"),
            "snapshots": .array(series.times.map { .integer($0) }),
            "vertices": .integer(Int64(nodes)), "edges": .integer(Int64(edges)),
            "completed_at": .integer(1_700_000_000),
            "parameters": .object(["methods": .array(Self.methods.map { .string($0) })]),
        ])
        try await graphs.writeVersionDocument(document, key: version.rawValue, of: graph)
    }

    private func vertex(
        _ node: Int, _ snapshot: GraphSnapshot, _ columns: SnapshotColumns, _ id: SnapshotID
    ) -> JSONValue {
        let width = columns.features.count
        let features = columns.features.enumerated().map { place, name in
            (name, JSONValue.number(Double(snapshot.features[node * width + place])))
        }
        return .object([
            "_key": .string(id.vertexKey(snapshot.symbols[node])), "version": .string(id.version.rawValue),
            "as_of": .integer(id.asOf), "symbol": .string(snapshot.symbols[node]),
            "close": .number(snapshot.prices[node]),
            "features": .object(Dictionary(uniqueKeysWithValues: features)),
        ])
    }

    /// Every third one is lead and lag.
    private func edge(
        _ edge: Int, _ snapshot: GraphSnapshot, _ graph: GraphName, _ id: SnapshotID
    ) -> JSONValue {
        let ends = [snapshot.edges.sources[edge], snapshot.edges.targets[edge]].map {
            snapshot.symbols[Int($0)]
        }
        let isDirected = edge % 3 == 0
        let method = Self.methods[isDirected ? 1 : 0]
        return .object([
            "_key": .string(id.edgeKey(method, from: ends[0], to: ends[1])),
            "_from": .string("\(graph.vertices)/\(id.vertexKey(ends[0]))"),
            "_to": .string("\(graph.vertices)/\(id.vertexKey(ends[1]))"),
            "version": .string(id.version.rawValue), "as_of": .integer(id.asOf), "method": .string(method),
            "directed": .bool(isDirected), "weight": .number(Double(snapshot.edges.features[edge * 2])),
            "lag": .integer(isDirected ? 2 : 0), "window": .integer(24),
        ])
    }

    private func write(_ documents: [JSONValue], to collection: CollectionName) async throws {
        var batch = DocumentBatch()
        for document in documents {
            let key = document.members?["_key"]?.string ?? ""
            batch.append(key: key.utf8, json: try MessageCodec.encode(document))
        }
        _ = try await graphs.write(batch, to: collection, mode: .upsert, advance: nil) { _ in }
    }

    // MARK: Work

    func job(attempt: Int = 1, epochs: Int = 4) throws -> TrainingJob {
        TrainingJob(
            graph: try #require(GraphName(Self.graph)), model: try #require(ModelName("test")),
            options: TrainingOptions(task: .direction) { plan in
                plan.layers = [.init(heads: 2, channels: 4)]
                plan.fit.epochsMax = epochs
                plan.fit.patience = epochs
                plan.fit.checkpointEvery = 2
                plan.bootstrap.resamples = 40
            }, workFolder: "\(folder)/work-\(attempt)", attempt: attempt)
    }

    func train(
        _ job: TrainingJob, _ hooks: GNNHooks = GNNHooks(now: { 1_700_000_000 })
    ) async throws -> TrainingRun.Outcome {
        try await TrainingRun(job, graphs: graphs, objects: objects, hooks: hooks).run()
    }

    /// The files of the object store by name, without the random part of the published folder's.
    func files() throws -> [String: Data] {
        let root = folder + "/objects"
        var files: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: "\(root)/\(name)", isDirectory: &isFolder),
                !isFolder.boolValue
            else { continue }
            files[name] = try Data(contentsOf: URL(filePath: "\(root)/\(name)"))
        }
        return files
    }
}
