import GraphModel
import Workflow

/// Builds one version of a graph: reads, computes a snapshot at a time, writes, and makes it visible at once.
///
/// Everything follows from the candles and the parameters, keys included. Another attempt writes the same
/// documents again, passes over the snapshots that are complete, and finds a version that is complete already.
package struct GraphBuild: Sendable {
    package enum Outcome: Sendable, Equatable {
        case finished(InstanceCounts, extra: [String: JSONValue])
        case interrupted(InstanceCounts)
    }

    let job: GraphJob
    let store: any GraphStore
    let hooks: GraphHooks
    /// Who builds, for the provenance: queue, step, attempt.
    let identity: [String: JSONValue]

    package init(
        _ job: GraphJob, store: any GraphStore, hooks: GraphHooks, identity: [String: JSONValue] = [:]
    ) {
        self.job = job
        self.store = store
        self.hooks = hooks
        self.identity = identity
    }

    /// - Throws: ``GraphBuilderError``, ``StoreError``.
    package func run() async throws -> Outcome {
        try check()
        var read: Int64 = 0
        do {
            let (frame, counts) = try await GraphInputs(job: job, store: store, hooks: hooks).read()
            read = counts.reduce(0) { $0 + $1.candles + $1.trades }
            let provenance = Provenance(job: job, counts: counts)
            let computer = GraphComputer(frame, job.parameters, settings: Provenance.settings(job))
            let id = await computer.version()
            if let known = try await knownVersion(id) {
                return .finished(known.counts(read), extra: extra(known))
            }
            let version = try await write(id, computer, provenance, read)
            return .finished(version.counts(read), extra: extra(version))
        } catch is GraphStopped {
            return .interrupted(InstanceCounts(recordsRead: read))
        }
    }

    private func check() throws {
        let snapshots = job.parameters.windowEnds(candleCount: job.grid.count).count
        guard snapshots > 0 else {
            throw GraphBuilderError(
                .noGraph,
                "the range has \(job.grid.count) closed candles, a window of "
                    + "\(job.parameters.window.map { "\($0) returns" } ?? "any length") needs "
                    + "\((job.parameters.window ?? 1) + 1): lengthen the range or shorten window")
        }
        guard snapshots <= job.limits.snapshotsMax else {
            throw GraphBuilderError(
                .tooLarge,
                "the range has \(snapshots) windows, at most \(job.limits.snapshotsMax): give a longer stride"
            )
        }
        guard job.memoryNeeded <= job.memoryMax else {
            throw GraphBuilderError(
                .tooLarge,
                "\(job.inputs.count) symbols and \(job.grid.count) candles need \(job.memoryNeeded >> 20) MiB, "
                    + "GRAPH_MEMORY_MAX allows \(job.memoryMax >> 20): fewer symbols, a longer interval or more"
            )
        }
    }

    /// The version, when somebody has completed it already.
    private func knownVersion(_ id: GraphVersionID) async throws -> GraphVersion? {
        do throws(StoreError) {
            return try await store.version(id, of: job.graph)
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    private func write(
        _ id: GraphVersionID, _ computer: GraphComputer, _ provenance: Provenance, _ read: Int64
    ) async throws -> GraphVersion {
        try await mayWrite()
        try await store.ensureGraph(job.graph)
        try await removeLeftOvers(besides: id)
        try await put(provenance, id, state: GraphVersionState.building, [:])
        var tally = Tally(read: read)
        let done = try await completeSnapshots(id)
        let ends = job.parameters.windowEnds(candleCount: job.grid.count)
        for (index, end) in ends.enumerated() {
            let snapshotID = SnapshotID(version: id, asOf: job.grid.closeTime(end))
            if let known = done[snapshotID.asOf] {
                tally.add(known)
            } else {
                let snapshot = await computer.snapshot(end: end)
                tally.add(try await write(snapshot, snapshotID))
            }
            hooks.report(tally.counts, "Built \(index + 1) of \(ends.count) snapshots")
        }
        guard tally.vertices > 0 else {
            throw GraphBuilderError(
                .noGraph, "in no window a symbol has enough candles: is anything stored for this range?")
        }
        try await confirm(id, tally)
        let members: [String: JSONValue] = [
            "snapshots": .array(tally.times.map { .integer($0) }), "vertices": .integer(tally.vertices),
            "edges": .integer(tally.edges), "completed_at": .number(hooks.now()),
        ]
        try await put(provenance, id, state: GraphVersionState.complete, members)
        guard let version = try await store.version(id, of: job.graph) else {
            throw GraphBuilderError(
                .incomplete, "version \(id) of \(job.graph) was removed while it was built")
        }
        return version
    }

    /// Vertices and edges first, then the document that says they are there.
    private func write(_ snapshot: GraphSnapshot, _ id: SnapshotID) async throws -> StoredSnapshot {
        let window = job.parameters.window ?? job.grid.count - 1
        let documents = SnapshotDocuments(graph: job.graph, id: id, window: window)
        let features = snapshot.report.features
        try await write(
            snapshot.nodes.lazy.map { documents.vertex($0, features: features) }, to: job.graph.vertices)
        try await write(
            snapshot.edges.lazy.map { documents.edge($0, snapshot.nodes) }, to: job.graph.edges)
        let report = documents.report(snapshot, symbols: job.inputs.map(\.symbol.rawValue))
        try await mayWrite()
        try await store.writeVersionDocument(report, key: id.keyPrefix, of: job.graph)
        return StoredSnapshot(
            asOf: id.asOf, vertices: Int64(snapshot.nodes.count), edges: Int64(snapshot.edges.count))
    }

    private func write(
        _ documents: some Sequence<(key: String, json: String)>, to collection: CollectionName
    ) async throws {
        var batch = DocumentBatch()
        for document in documents {
            batch.append(key: document.key.utf8, json: document.json.utf8)
            guard
                batch.count >= job.limits.batchDocumentsMax || batch.bytes.count >= DocumentBatch.bytesMax / 2
            else { continue }
            try await flush(&batch, to: collection)
        }
        try await flush(&batch, to: collection)
    }

    private func flush(_ batch: inout DocumentBatch, to collection: CollectionName) async throws {
        guard !batch.isEmpty else { return }
        try await mayWrite()
        hooks.beforeWrite()
        let outcome = try await store.write(
            batch, to: collection, mode: .insertOrIgnore, advance: nil
        ) { _ in }
        hooks.afterWrite()
        if let refused = outcome.refused.first {
            throw GraphBuilderError(.incomplete, "\(collection) refused a document: \(refused.reason)")
        }
        batch.removeAll()
    }

    /// The store's own count decides, not what we believe to have written.
    private func confirm(_ id: GraphVersionID, _ tally: Tally) async throws {
        let parts = [(job.graph.vertices, tally.vertices), (job.graph.edges, tally.edges)]
        for (collection, expected) in parts {
            let stored = try await store.count(in: collection, where: [id.member])
            guard stored == expected else {
                throw GraphBuilderError(
                    .incomplete, "\(collection) holds \(stored) documents of version \(id), not \(expected)")
            }
        }
    }

    private func put(
        _ provenance: Provenance, _ id: GraphVersionID, state: GraphVersionState,
        _ members: [String: JSONValue]
    ) async throws {
        try await mayWrite()
        hooks.beforeWrite()
        let document = provenance.document(id, state: state, identity: identity, members: members)
        try await store.writeVersionDocument(document, key: id.rawValue, of: job.graph)
        hooks.afterWrite()
    }

    private func mayWrite() async throws {
        guard try await hooks.waitToWrite(), !hooks.shouldStop() else { throw GraphStopped() }
    }

    private func extra(_ version: GraphVersion) -> [String: JSONValue] {
        [
            "graph": .string(job.graph.rawValue), "version": .string(version.id.rawValue),
            "snapshots": .integer(Int64(version.snapshots.count)), "vertices": .integer(version.vertices),
            "edges": .integer(version.edges), "as_of": version.snapshots.last.map { .integer($0) } ?? .null,
        ]
    }
}

extension GraphVersion {
    fileprivate func counts(_ read: Int64) -> InstanceCounts {
        InstanceCounts(recordsRead: read, recordsWritten: vertices + edges)
    }
}

/// What has been written so far.
private struct Tally {
    let read: Int64
    private(set) var times: [Int64] = []
    private(set) var vertices: Int64 = 0
    private(set) var edges: Int64 = 0

    init(read: Int64) { self.read = read }

    mutating func add(_ snapshot: StoredSnapshot) {
        times.append(snapshot.asOf)
        vertices += snapshot.vertices
        edges += snapshot.edges
    }

    var counts: InstanceCounts { InstanceCounts(recordsRead: read, recordsWritten: vertices + edges) }
}
