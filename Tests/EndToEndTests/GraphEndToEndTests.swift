import Foundation
import Glibc
import HTTPBridge
import Testing
import Workflow

/// From the exchange's candles to a graph, through the real programs.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct GraphEndToEndTests {
    private static let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "1INCHUSDT", "TONUSDT"]

    private func request(_ graph: String) -> JSONValue {
        .object([
            "template": .string("candles_to_graph"),
            "parameters": .object([
                "symbols": .array(Self.symbols.map { .string($0) }), "interval": .string("5m"),
                "time_range": .string("2024-08-07:2024-08-08"), "graph": .string(graph),
                "window": .integer(96), "stride": .integer(4), "top_k": .integer(2),
            ]),
        ])
    }

    @Test func `the template builds a graph of recorded candles, also when the builder is killed`()
        async throws
    {
        try await Rig.with(candles: Self.symbols) { rig in
            let calm = try await rig.api.waitUntilFinal(try await rig.api.start(request("calm_graph")))
            #expect(calm["status"]?.string == "finished", "\(calm)")
            let instance = try #require(calm.instance("graph", "all"))
            // Two days of four symbols, 14 hours of the one that was listed at 10:00 on the second.
            let candles: Int64 = 4 * 576 + 14 * 12
            #expect(instance["records_read"]?.integer == candles)
            #expect(instance["extra"]?["snapshots"]?.integer == 120)
            let graph = try await rig.graph("calm_graph")
            #expect(graph.complete == 1)
            // The late one is in those of which it has at least 92 of the 96 returns.
            #expect(graph.vertices == 4 * 120 + 19)
            #expect(graph.dangling == 0 && graph.edges > 0)
            #expect(instance["records_written"]?.integer == graph.vertices + graph.edges)

            let id = try await rig.api.start(request("killed_graph"))
            _ = try await rig.api.wait(for: id) { _ in rig.worker(id, step: "graph", symbol: "all") != nil }
            try #require(rig.worker(id, step: "graph", symbol: "all")).signalGroup(SIGKILL)
            let killed = try await rig.api.waitUntilFinal(id)
            #expect(killed["status"]?.string == "finished", "\(killed)")
            #expect(killed.instance("graph", "all")?["attempt"]?.integer == 2)
            #expect(try await rig.graph("killed_graph") == graph)
        }
    }
}

/// What the tables of a graph hold, read past the product's own store.
private struct StoredGraph: Equatable {
    var complete: Int64
    var vertices: Int64
    var edges: Int64
    /// Edges that join no vertices.
    var dangling: Int64
    /// Of all numbers of vertices and edges.
    var digest: String
}

extension Rig {
    fileprivate func graph(_ name: String) async throws -> StoredGraph {
        let rows = try await store.execute(
            """
            WITH ends AS (
                SELECT \(name + "_vertices/")::text || _key AS id FROM documents.\(identifier: name + "_vertices"))
            SELECT
                (SELECT count(*) FROM documents.\(identifier: name + "_versions")
                 WHERE document->>'kind' = 'version' AND document->>'state' = 'complete') AS complete,
                (SELECT count(*) FROM documents.\(identifier: name + "_vertices")) AS vertices,
                (SELECT count(*) FROM documents.\(identifier: name + "_edges")) AS edges,
                (SELECT count(*) FROM documents.\(identifier: name + "_edges")
                 WHERE document->>'_from' NOT IN (SELECT id FROM ends)
                    OR document->>'_to' NOT IN (SELECT id FROM ends)) AS dangling,
                (SELECT md5(string_agg(text, '' ORDER BY text COLLATE "C")) FROM (
                    SELECT _key || (document->>'features') AS text FROM documents.\(identifier: name + "_vertices")
                    UNION ALL
                    SELECT _key || (document->>'weight') FROM documents.\(identifier: name + "_edges")) all_of_it
                ) AS digest
            """)
        let row = try #require(rows.first)
        return StoredGraph(
            complete: try row["complete", as: Int64.self], vertices: try row["vertices", as: Int64.self],
            edges: try row["edges", as: Int64.self], dangling: try row["dangling", as: Int64.self],
            digest: try row["digest", as: String.self])
    }
}
