import HTTPBridge
import Testing
import Workflow

/// A schedule asks the model that is in production about the newest snapshot, through the real programs.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ScheduledPredictionsTests {
    private static let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "1INCHUSDT"]
    private static let limit = Duration.seconds(400)
    private static let days = JSONValue.string("2024-08-07:2024-08-08")

    @Test func `each firing asks the model in production once, and what is predicted again is there once`()
        async throws
    {
        try await Rig.with(candles: Self.symbols) { rig in
            let ids = try await Self.trainTwo(rig)
            try await rig.promote(1)
            let schedule: JSONValue = .object([
                "name": .string("asking"), "cron": .string("* * * * *"), "overlap": .string("skip"),
                "request": Self.request([
                    "id": .string("ask"), "target": .string("gnn-infer"),
                    "params": .object(["graph": .string("market"), "model": .string("hourly")]),
                ]),
            ])
            _ = try await rig.ask(.post, "/schedules", schedule)
            // By the clock.
            _ = try await rig.endedFirings(1)
            _ = try await rig.ask(.post, "/schedules/asking/pause", .object([:]))
            #expect(try await rig.predictions() == [ids[0]: 4])
            let newest = try await rig.store.execute(
                """
                SELECT (SELECT max((document->>'as_of')::bigint) FROM documents.market_vertices)
                    = ALL (SELECT (document->>'as_of')::bigint FROM documents.predictions_hourly) AS is_newest
                """)
            #expect(try newest[0]["is_newest", as: Bool.self])

            try await rig.promote(2)
            let before = try await rig.endedFirings(1).count
            for _ in 1...2 { _ = try await rig.trigger("one") }
            _ = try await rig.endedFirings(before + 1)
            #expect(try await rig.predictions() == [ids[0]: 4, ids[1]: 4])
            _ = try await rig.trigger("two")
            let firings = try await rig.endedFirings(before + 2)
            #expect(try await rig.predictions() == [ids[0]: 4, ids[1]: 4], "the same keys")

            #expect(firings.count == before + 2)
            #expect(firings.allSatisfy { $0["queue_status"]?.string == "finished" })
            #expect(Set(firings.map { $0["queue_id"]?.string }).count == firings.count)
            let byClock = firings.filter { $0["is_manual"] == .bool(false) }.map { $0["fire_time"]?.string }
            #expect(byClock.count == before && Set(byClock).count == before)
        }
    }

    private static func request(_ step: [String: JSONValue]) -> JSONValue {
        .object([
            "symbols": .array(symbols.map { .string($0) }), "time_range": days,
            "steps": .array([.object(step)]),
        ])
    }

    /// Two versions of a model on one graph; their ids.
    private static func trainTwo(_ rig: Rig) async throws -> [String] {
        let whole: JSONValue = .object([
            "template": .string("candles_to_model"),
            "parameters": .object([
                "symbols": .array(symbols.map { .string($0) }), "interval": .string("5m"),
                "time_range": days, "model": .string("hourly"), "graph": .string("market"),
                "window": .integer(96), "stride": .integer(4), "top_k": .integer(2), "epochs": .integer(2),
            ]),
        ])
        try await finish(whole, rig)
        // What the template's last step said is no schedule's.
        try await rig.store.execute("DELETE FROM documents.predictions_hourly")
        try await finish(
            request([
                "id": .string("train"), "target": .string("gnn-trainer"),
                "params": .object([
                    "graph": .string("market"), "model": .string("hourly"), "epochs": .integer(3),
                ]),
            ]), rig)
        return try await [1, 2].asyncMap { version in
            try #require(try await rig.ask(.get, "/models/hourly/\(version)")["id"]?.string)
        }
    }

    private static func finish(_ request: JSONValue, _ rig: Rig) async throws {
        let id = try await rig.api.start(request)
        let queue = try await rig.api.wait(for: id, limit: limit) {
            ["finished", "failed", "stopped"].contains($0["status"]?.string)
        }
        try #require(queue["status"]?.string == "finished", "\(queue)")
    }
}

extension Array {
    fileprivate func asyncMap<R>(_ body: (Element) async throws -> R) async throws -> [R] {
        var results: [R] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}

extension Rig {
    fileprivate func ask(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil, headers: HTTPHeaders = [:]
    ) async throws -> JSONValue {
        let bytes = try body.map { try MessageCodec.encode($0) } ?? []
        let answer = try await http.execute(
            HTTPRequest(method, api.base + path, headers: headers, body: bytes))
        let value = try MessageCodec.decode(JSONValue.self, from: answer.body)
        #expect((200..<300).contains(answer.status), "\(path): \(value)")
        return value
    }

    fileprivate func promote(_ version: Int) async throws {
        _ = try await ask(
            .post, "/models/hourly/\(version)/promote", .object(["stage": .string("production")]))
    }

    fileprivate func trigger(_ key: String) async throws -> JSONValue {
        try await ask(.post, "/schedules/asking/trigger", headers: ["Idempotency-Key": key])
    }

    /// Waits until so many firings have ended, and none is under way.
    fileprivate func endedFirings(_ count: Int) async throws -> [JSONValue] {
        let deadline = ContinuousClock.now + .seconds(180)
        var last: JSONValue = .null
        while ContinuousClock.now < deadline {
            last = try await ask(.get, "/schedules/asking/firings")
            let firings = last["firings"]?.items ?? []
            if firings.count >= count, firings.allSatisfy({ $0["outcome"]?.string == "ended" }) {
                return firings
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TimeLimitError(last: last)
    }

    /// Stored predictions by the model's id.
    fileprivate func predictions() async throws -> [String: Int] {
        let rows = try await store.execute(
            """
            SELECT document->>'model_id' AS id, count(*)::int AS count FROM documents.predictions_hourly
            GROUP BY 1
            """)
        return try Dictionary(
            uniqueKeysWithValues: rows.map {
                (try $0["id", as: String.self], try $0["count", as: Int.self])
            })
    }
}
