import DocumentStores
import Foundation
import GraphBuilder
import GraphModel
import MarketData
import Synchronization
import TestSupport
import Testing
import Workflow

/// A store with hourly candles of some symbols, and what a graph of them is built with.
struct GraphStage: Sendable {
    /// 2024-08-01 00:00 UTC.
    static let start: Int64 = 1_722_470_400_000
    static let hour: Int64 = 3_600_000
    static let symbols = ["AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT", "EEEUSDT"]
    /// 2024-08-05 24:00 UTC.
    static let hours = 120

    let store: PostgreSQLDocumentStore

    static func with(_ body: (GraphStage) async throws -> Void) async throws {
        try await withPostgres { pool in
            let store = try await PostgreSQLDocumentStore.open(pool.configuration.currentURL())
            do {
                try await body(GraphStage(store: store))
            } catch {
                await store.close()
                throw error
            }
            await store.close()
        }
    }

    static func collection(_ name: String = "candles") throws -> CollectionName {
        try #require(CollectionName(name))
    }

    /// A price that follows two waves, different for each symbol.
    static func price(_ symbol: Int, _ hour: Int) -> Double {
        let market = sin(Double(hour * hour % 97))
        let own = cos(Double((hour + 3) * (hour + symbol) % 89))
        return ((100 + Double(symbol)) * exp(0.01 * (market * Double(symbol % 3) + own)) * 1e4).rounded()
            / 1e4
    }

    static func candle(_ symbol: Int, _ hour: Int, trades: Int = 12) -> (key: String, json: String) {
        let (name, time) = (symbols[symbol], start + Int64(hour) * Self.hour)
        let key = "\(name)-1h-\(time)"
        let taker = trades > 0 ? "\(5 + (hour + symbol) % 5).5" : "0"
        let json = """
            {"_key":"\(key)","symbol":"\(name)","interval":"1h","open_time":\(time),"open":"1","high":"2",\
            "low":"0.5","close":"\(price(symbol, hour))","volume":"\(20 + hour % 7)",\
            "close_time":\(time + Self.hour - 1),"quote_volume":"15.0","trades":\(trades),\
            "taker_buy_base":"\(taker)","taker_buy_quote":"7.50"}
            """
        return (key, json)
    }

    /// Stores candles; `isThere` says which.
    func storeCandles(
        trades: Int = 12, where isThere: (_ symbol: Int, _ hour: Int) -> Bool = { _, _ in true }
    ) async throws {
        let collection = try Self.collection()
        try await store.ensureCollection(collection, indexes: [])
        for symbol in Self.symbols.indices {
            var batch = DocumentBatch()
            for hour in 0..<Self.hours where isThere(symbol, hour) {
                let candle = Self.candle(symbol, hour, trades: trades)
                batch.append(key: candle.key.utf8, json: candle.json.utf8)
            }
            _ = try await store.write(batch, to: collection, mode: .upsert, advance: nil) { _ in }
        }
    }

    static func job(
        _ parameters: GraphParameters = parameters, trades: String? = nil, memoryMax: Int = 1 << 30
    ) throws -> GraphJob {
        let range = try #require(DayRange("2024-08-01:2024-08-05"))
        var job = GraphJob(
            graph: try #require(GraphName("test_graph")),
            inputs: try symbols.map {
                GraphJob.Input(
                    symbol: try #require(Symbol($0)), candles: try collection(),
                    trades: try trades.map(collection))
            },
            interval: .hour1, grid: try #require(GraphJob.grid(range, .hour1, asOf: .max / 2)),
            parameters: parameters, tradeKind: .raw, memoryMax: memoryMax)
        // Small, so that more than one page and batch are needed.
        job.limits.pageDocumentsMax = 50
        job.limits.batchDocumentsMax = 4
        return job
    }

    static let parameters = GraphParameters(
        methods: [.pearson, .leadLag], rule: .threshold(0.05), window: 60, stride: 20)

    func build(
        _ job: GraphJob, attempt: Int = 1, _ hooks: GraphHooks = GraphHooks(now: { 1_722_902_400 })
    ) async throws -> GraphBuild.Outcome {
        let identity: [String: JSONValue] = [
            "queue_id": .string("wf-test-abc123"), "step": .string("graph"), "instance": .string("all"),
            "attempt": .integer(Int64(attempt)),
        ]
        return try await GraphBuild(job, store: store, hooks: hooks, identity: identity).run()
    }

    /// The frame as the builder must read it.
    static func frame(where isThere: (_ symbol: Int, _ hour: Int) -> Bool = { _, _ in true }) -> CandleFrame {
        var frame = CandleFrame(
            symbols: symbols, grid: TimeGrid(first: start, step: hour, count: hours))
        for symbol in symbols.indices {
            for hour in 0..<hours where isThere(symbol, hour) {
                let taker = Double(5 + (hour + symbol) % 5) + 0.5
                frame.set(
                    CandleValues(
                        openTime: start + Int64(hour) * Self.hour, close: price(symbol, hour),
                        volume: Double(20 + hour % 7), takerBuyVolume: taker, tradeCount: 12), symbol: symbol)
            }
        }
        return frame
    }
}

/// Says stop after so many questions.
final class StopAfter: Sendable {
    private let left: Mutex<Int>

    init(_ count: Int) { left = Mutex(count) }

    var isNow: Bool {
        left.withLock { left in
            left -= 1
            return left < 0
        }
    }
}

extension GraphBuild.Outcome {
    var isFinished: Bool { if case .finished = self { true } else { false } }

    var counts: InstanceCounts {
        switch self {
        case .finished(let counts, _), .interrupted(let counts): counts
        }
    }
}

extension JSONValue {
    subscript(_ name: String) -> JSONValue? { members?[name] }

    var items: [JSONValue] {
        if case .array(let items) = self { items } else { [] }
    }

    var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
