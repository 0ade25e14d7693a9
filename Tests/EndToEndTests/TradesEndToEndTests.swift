import Foundation
import Glibc
import HTTPBridge
import MarketData
import Testing
import Workflow

/// Recorded trades through the real programs, by the ready-made template.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct TradesEndToEndTests {
    struct Load: Sendable, CustomTestStringConvertible {
        var counts: [String: Int64]
        var days: String
        var pageRows: Int
        /// Records a second and symbol: slow enough to be met in the middle.
        var pace: Int

        var testDescription: String { "\(pageRows) a page, \(days)" }
    }

    /// 2024-08-09 00:00 UTC: the recordings hold all trades of the five minutes after it.
    private static let midnight: Int64 = 1_723_161_600_000

    static let loads = [
        Load(
            counts: ["BTCUSDT": 19_904, "ETHUSDT": 14_515], days: "2024-08-08:2024-08-09", pageRows: 500,
            pace: 2_500),
        Load(counts: ["ETHUSDT": 6_098], days: "2024-08-08:2024-08-08", pageRows: 7, pace: 700),
    ]

    @Test(arguments: loads)
    func `every trade arrives exactly once although loader and connector are killed`(
        load: Load
    ) async throws {
        let environment = ["EXCHANGE_PAGE_ROWS": String(load.pageRows), "EXCHANGE_WEIGHT_MAX": "1000000"]
        try await Rig.with(trades: Array(load.counts.keys), environment) { rig in
            try await rig.setPace(load.pace)
            let id = try await rig.api.start(Self.request(load))
            let symbol = try #require(load.counts.keys.max())
            for (step, share) in [("load", Int64(4)), ("store", 2)] {
                let enough = try #require(load.counts[symbol]) / share / 2
                _ = try await rig.api.wait(for: id) { queue in
                    (queue.instance("store", symbol)?["records_read"]?.integer ?? 0) > enough
                        && rig.worker(id, step: step, symbol: symbol) != nil
                }
                try #require(rig.worker(id, step: step, symbol: symbol)).signalGroup(SIGKILL)
            }
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished")
            try await rig.setPace(1_000_000)
            for (symbol, count) in load.counts {
                let stored = try await rig.storedTrades(symbol)
                #expect(stored.digest.count == count)
                #expect(stored.ids == Array(stored.ids[0]..<(stored.ids[0] + count)))
                #expect(
                    stored.digest == (try await rig.servedTrades(symbol, from: stored.ids[0], count: count)))
                #expect(queue.instance("store", symbol)?["dead_letters"]?.integer == 0)
                if load.days.hasSuffix("09") {
                    #expect(stored.candle == (try await rig.servedCandle(symbol, at: Self.midnight)))
                }
            }
            #expect(queue.instance("load", symbol)?["attempt"]?.integer == 2)
            #expect(queue.instance("store", symbol)?["attempt"]?.integer == 2)
        }
    }

    @Test func `aggregate trades are loaded by the short form, and a plan with them tells its least cost`()
        async throws
    {
        try await Rig.with(trades: ["ETHUSDT"], [:]) { rig in
            let body = JSONValue.object([
                "symbol": .string("ETHUSDT"), "type": .string("api_trades"),
                "time_range": .string("2024-08-09:2024-08-09"),
            ])
            let plan = try await rig.api.validate(body)
            #expect(plan["steps"]?.items.first?["target"]?.string == "loader-api-trades")
            #expect(plan["estimate"]?["exchange_weight_min"]?.integer == 4)
            #expect(plan["estimate"]?["records_max"] == .null)
            let queue = try await rig.api.waitUntilFinal(try await rig.api.start(body))
            #expect(queue["status"]?.string == "finished")
            let rows = try await rig.store.execute(
                """
                SELECT count(*) AS count, sum((document->>'last_trade_id')::bigint
                    - (document->>'first_trade_id')::bigint + 1)::bigint AS fills
                FROM documents.ethusdt_api_trades_2024_08_09
                """)
            let row = try #require(rows.first)
            #expect(
                try row["count", as: Int64.self]
                    == queue.instance("load", "ETHUSDT")?["records_written"]?.integer)
            // Together they hold every recorded trade of the day.
            #expect(try row["fills", as: Int64.self] == 14_515 - 6_098)
        }
    }

    private static func request(_ load: Load) -> JSONValue {
        .object([
            "template": .string("historical_trades"),
            "parameters": .object([
                "symbols": .array(load.counts.keys.sorted().map { .string($0) }),
                "kind": .string("api_trades_raw"), "time_range": .string(load.days),
            ]),
        ])
    }
}

/// The stored trades of one symbol.
private struct StoredTrades {
    var digest: RangeDigest
    var ids: [Int64]
    /// Open, high, low, close and volume of those at and after midnight, in hundred-millionths.
    var candle: [Int64]
}

extension Rig {
    fileprivate func storedTrades(_ symbol: String) async throws -> StoredTrades {
        let rows = try await store.execute(
            """
            SELECT _key, document::text AS json
            FROM documents.\(identifier: "\(symbol.lowercased())_api_trades_raw_2024_08_08") ORDER BY _key
            """)
        var (digester, ids) = (RangeDigester(shape: .trade), [Int64]())
        var fiveMinutes: [(price: Int64, quantity: Int64)] = []
        for row in rows {
            let document = try MessageCodec.decode(
                JSONValue.self, fromText: try row["json", as: String.self])
            let values = RecordShape.trade.fields.map { document[$0.name].flatMap(Self.text) }
            try digester.add(key: try row["_key", as: String.self], values: values)
            ids.append(try #require(document["trade_id"]?.integer))
            if (1_723_161_600_000..<1_723_161_900_000).contains(document["time"]?.integer ?? 0) {
                fiveMinutes.append((try Self.units(document["price"]), try Self.units(document["quantity"])))
            }
        }
        let prices = fiveMinutes.map(\.price)
        let candle = [
            prices.first, prices.max(), prices.min(), prices.last, fiveMinutes.map(\.quantity).reduce(0, +),
        ]
        return StoredTrades(digest: digester.finish(), ids: ids, candle: candle.compactMap { $0 })
    }

    /// What the exchange serves, asked directly.
    fileprivate func servedTrades(_ symbol: String, from first: Int64, count: Int64) async throws
        -> RangeDigest
    {
        var digester = RangeDigester(shape: .trade)
        var next = first
        while next < first + count {
            let limit = min(1_000, first + count - next)
            let answer = try await http.execute(
                HTTPRequest(
                    .get,
                    "\(exchange)/api/v3/historicalTrades?symbol=\(symbol)&fromId=\(next)&limit=\(limit)"))
            let rows = try MessageCodec.decode(JSONValue.self, from: answer.body).items
            try #require(!rows.isEmpty)
            for row in rows {
                let id = try #require(row["id"]?.integer)
                let key = "\(symbol)-t-" + String(repeating: "0", count: 20 - String(id).count) + String(id)
                let texts = ["id", "price", "qty", "time", "isBuyerMaker"].map { row[$0].flatMap(Self.text) }
                try digester.add(key: key, values: [key, symbol] + texts + [nil, nil])
                next = id + 1
            }
        }
        return digester.finish()
    }

    fileprivate func servedCandle(_ symbol: String, at openTime: Int64) async throws -> [Int64] {
        let answer = try await http.execute(
            HTTPRequest(
                .get,
                "\(exchange)/api/v3/klines?symbol=\(symbol)&interval=5m&startTime=\(openTime)&limit=1"))
        let row = try #require(try MessageCodec.decode(JSONValue.self, from: answer.body).items.first)
        return try row.items[1...5].map { try Self.units($0) }
    }

    private static func text(_ value: JSONValue) -> String? {
        if case .bool(let flag) = value { return String(flag) }
        return value.string ?? value.integer.map { String($0) }
    }

    /// A decimal of at most eight places in hundred-millionths: exact.
    private static func units(_ value: JSONValue?) throws -> Int64 {
        let parts = try #require(value?.string).split(separator: ".")
        let fraction = parts.count > 1 ? String(parts[1]) : ""
        let padded = fraction + String(repeating: "0", count: 8 - fraction.count)
        return try #require(Int64(String(parts[0]) + padded))
    }
}
