import HTTPBridge
import Testing
import Workflow

extension EndToEndTests {
    @Test func `a letter is mended over HTTP, the feed tells it, and the queue is in the document store`()
        async throws
    {
        try await Rig.with { rig in
            let id = try await rig.api.start(["BTCUSDT"], days: "2024-08-01:2024-08-01")
            _ = try await rig.api.waitUntilFinal(id)
            try await rig.store.execute(
                """
                INSERT INTO streamforge.dead_letters (queue_id, key, step, instance, topic, partition,
                    record_offset, reason, value, value_bytes, headers)
                VALUES (\(id), \("\(id)-data/0/7"), 'store', 'BTCUSDT', \("\(id)-data"), 0, 7, 'bad',
                    \(Array("{}".utf8)), 2, '[]')
                """)
            let path = "/queues/\(id)/dead-letters"
            let list = try await rig.get("\(path)?state=open&step=store")
            let number = try #require(list["dead_letters"]?.items.first?["letter"]?.integer)
            #expect(list["next_after"] == .null)

            let refused = try await rig.post("\(path)/\(number)/replay", nil)
            #expect(refused.status == 400)
            #expect(
                refused.body["error"]?["message"]?.string
                    == "The record is still no document: field _key is missing")
            let record = JSONValue.object(["value": Self.candle(openTime: 1_722_556_800_000)])
            for _ in 0..<2 {
                let mended = try await rig.post("\(path)/\(number)/replay", record)
                #expect(mended.status == 200 && mended.body["state"]?.string == "replayed")
            }
            #expect(try await rig.post("\(path)/\(number)/discard", nil).status == 409)
            #expect(try await rig.post("\(path)/\(number + 1)/replay", record).status == 404)
            #expect(try await rig.post("\(path)/replay", nil).body["replayed"]?.integer == 0)
            let stored = try await rig.store.execute(
                "SELECT count(*)::int FROM documents.btcusdt_api_candles_5m_2024_08_01")
            #expect(try stored[0][0, as: Int.self] == 289)

            try await rig.waitForEvent("dead_letter_replayed", of: id)
            #expect(try await rig.post("/admin/projection/rebuild", nil).status == 202)
            try await rig.waitForDocument(of: id, status: "finished")
        }
    }

    private static func candle(openTime: Int64) -> JSONValue {
        .object([
            "_key": .string("BTCUSDT-5m-\(openTime)"), "symbol": .string("BTCUSDT"),
            "interval": .string("5m"),
            "open_time": .integer(openTime), "open": .string("1.0"), "high": .string("2.0"),
            "low": .string("0.5"), "close": .string("1.5"), "volume": .string("10"),
            "close_time": .integer(openTime + 299_999), "quote_volume": .string("15"),
            "trades": .integer(7), "taker_buy_base": .string("5"), "taker_buy_quote": .string("7.5"),
        ])
    }
}

extension Rig {
    fileprivate func get(_ path: String) async throws -> JSONValue {
        let answer = try await http.execute(HTTPRequest(.get, api.base + path))
        #expect(answer.status == 200, "\(path)")
        return try MessageCodec.decode(JSONValue.self, from: answer.body)
    }

    fileprivate func post(_ path: String, _ body: JSONValue?) async throws -> (status: Int, body: JSONValue) {
        let bytes = try body.map { try MessageCodec.encode($0) } ?? []
        let answer = try await http.execute(HTTPRequest(.post, api.base + path, body: bytes))
        return (answer.status, try MessageCodec.decode(JSONValue.self, from: answer.body))
    }

    /// Follows the feed from its beginning, in small pages.
    fileprivate func waitForEvent(_ kind: String, of id: String) async throws {
        var after = "0..0"
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let page = try await get("/events?limit=3&after=\(after)")
            let isThere = page["events"]?.items.contains {
                $0["kind"]?.string == kind && $0["queue_id"]?.string == id
            }
            if isThere == true { return }
            after = try #require(page["next_after"]?.string)
        }
        Issue.record("no \(kind) in the feed")
    }

    fileprivate func waitForDocument(of id: String, status: String) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let tables = try await store.execute(
                "SELECT to_regclass('documents.queues') IS NOT NULL AS is_there")
            if try tables[0]["is_there", as: Bool.self] {
                let rows = try await store.execute(
                    "SELECT document->>'status' AS status FROM documents.queues WHERE _key = \(id)")
                if try rows.first?["status", as: String.self] == status { return }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("queue \(id) is not \(status) in the document store")
    }
}
