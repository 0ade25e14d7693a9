import Foundation
import Glibc
import HTTPBridge
import Testing
import Workflow

/// From the exchange's candles to a registered model and its predictions, through the real programs.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ModelEndToEndTests {
    private static let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "1INCHUSDT"]
    private static let limit = Duration.seconds(400)

    private func request(_ model: String) -> JSONValue {
        .object([
            "template": .string("candles_to_model"),
            "parameters": .object([
                "symbols": .array(Self.symbols.map { .string($0) }), "interval": .string("5m"),
                "time_range": .string("2024-08-07:2024-08-08"), "model": .string(model),
                "graph": .string("\(model)_graph"),
                "window": .integer(96), "stride": .integer(4), "top_k": .integer(2), "epochs": .integer(20),
            ]),
        ])
    }

    @Test func `the template trains the same model, also when graph-builder and trainer are killed`()
        async throws
    {
        try await Rig.with(candles: Self.symbols) { rig in
            let calm = try await finish(try await rig.api.start(request("calm")), rig)
            let trained = try #require(calm.instance("train", "all")?["extra"])
            #expect(trained["metrics"]?["gatv2"]?["auc"]?["value"] != nil)
            #expect(calm.instance("infer", "all")?["records_written"]?.integer == 4)

            let id = try await rig.api.start(request("killed"))
            for step in ["graph", "train"] {
                _ = try await rig.api.wait(for: id, limit: Self.limit) { _ in
                    rig.worker(id, step: step, symbol: "all") != nil
                }
                try #require(rig.worker(id, step: step, symbol: "all")).signalGroup(SIGKILL)
            }
            let killed = try await finish(id, rig)
            #expect(killed.instance("train", "all")?["attempt"]?.integer == 2)
            let models = try await [model("calm", rig), model("killed", rig)]
            for member in ["weights_sha256", "metrics", "graph_version", "graph_helps"] {
                #expect(models[0][member] == models[1][member], "\(member)")
            }
            #expect(models.allSatisfy { $0["stage"]?.string == "candidate" })
            let comparison = try await get("/models/calm/newest/compare/1", rig)
            #expect(comparison["is_same_test"] == .bool(true))
            let rows = try await rig.store.execute(
                "SELECT count(*) AS count FROM documents.predictions_killed")
            #expect(try rows.first.map { try $0["count", as: Int64.self] } == 4)
        }
    }

    private func finish(_ id: String, _ rig: Rig) async throws -> JSONValue {
        let queue = try await rig.api.wait(for: id, limit: Self.limit) {
            ["finished", "failed", "stopped"].contains($0["status"]?.string)
        }
        #expect(queue["status"]?.string == "finished", "\(queue)")
        return queue
    }

    private func model(_ name: String, _ rig: Rig) async throws -> JSONValue {
        try await get("/models/\(name)/1", rig)
    }

    private func get(_ path: String, _ rig: Rig) async throws -> JSONValue {
        let answer = try await rig.http.execute(HTTPRequest(.get, "\(rig.api.base)\(path)"))
        #expect(answer.status == 200)
        return try MessageCodec.decode(JSONValue.self, from: answer.body)
    }
}
