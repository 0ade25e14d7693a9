import GraphModel
import MarketData
import Workflow

/// Reads the candles and trades of all symbols into one frame, a page at a time.
struct GraphInputs {
    /// What was read of one symbol, for the provenance.
    struct Count: Sendable, Equatable {
        var candles: Int64 = 0
        var firstOpenTime: Int64?
        var lastOpenTime: Int64?
        var trades: Int64 = 0
        /// Whether the trades were needed: the candles had no counts and taker volumes.
        var usesTrades = false
    }

    let job: GraphJob
    let store: any GraphStore
    let hooks: GraphHooks

    /// - Throws: ``StoreError``, ``GraphBuilderError`` `badRecord`, ``GraphStopped``.
    func read() async throws -> (frame: CandleFrame, counts: [Count]) {
        var frame = CandleFrame(symbols: job.inputs.map(\.symbol.rawValue), grid: job.grid)
        var counts: [Count] = []
        var total: Int64 = 0
        for (symbol, input) in job.inputs.enumerated() {
            var count = Count()
            try await readCandles(input, symbol, &frame, &count)
            if let trades = input.trades, frame.lacksActivity(of: symbol) {
                count.usesTrades = true
                try await readTrades(input.symbol, trades, symbol, &frame, &count)
            }
            counts.append(count)
            total += count.candles + count.trades
            hooks.report(
                InstanceCounts(recordsRead: total), "Read \(symbol + 1) of \(job.inputs.count) symbols")
        }
        return (frame, counts)
    }

    private func readCandles(
        _ input: GraphJob.Input, _ symbol: Int, _ frame: inout CandleFrame, _ count: inout Count
    ) async throws {
        guard job.grid.count > 0 else { return }
        let range = KeyRange(
            first: RecordKey.candle(input.symbol, job.interval, openTime: job.grid.first),
            last: RecordKey.candle(
                input.symbol, job.interval, openTime: job.grid.time(job.grid.count - 1)),
            symbol: input.symbol.rawValue, interval: job.interval.keyText)
        try await store.scan(
            input.candles, range: range, pageDocumentsMax: job.limits.pageDocumentsMax
        ) { page in
            if hooks.shouldStop() { throw GraphStopped() }
            for document in page {
                guard let candle = CandleValues(json: document) else {
                    throw badRecord("candle", input.candles, document)
                }
                guard frame.set(candle, symbol: symbol) else { continue }
                count.candles += 1
                count.firstOpenTime = count.firstOpenTime ?? candle.openTime
                count.lastOpenTime = candle.openTime
            }
        }
    }

    private func readTrades(
        _ name: Symbol, _ collection: CollectionName, _ symbol: Int, _ frame: inout CandleFrame,
        _ count: inout Count
    ) async throws {
        frame.clearActivity(of: symbol)
        let prefix = RecordKey.tradePrefix(name, job.tradeKind)
        let digits = RecordKey.tradeIDDigits
        let range = KeyRange(
            first: prefix + String(repeating: "0", count: digits),
            last: prefix + String(repeating: "9", count: digits), symbol: name.rawValue, interval: nil)
        var (first, last): (Int?, Int?) = (nil, nil)
        try await store.scan(
            collection, range: range, pageDocumentsMax: job.limits.pageDocumentsMax
        ) { page in
            if hooks.shouldStop() { throw GraphStopped() }
            for document in page {
                guard let trade = TradeValues(json: document) else {
                    throw badRecord("trade", collection, document)
                }
                guard let place = job.grid.index(containing: trade.time) else { continue }
                count.trades += 1
                first = min(first ?? place, place)
                last = max(last ?? place, place)
                frame.add(
                    tradeAt: trade.time, quantity: trade.quantity, fills: trade.fills,
                    isTakerBuy: trade.isTakerBuy, symbol: symbol)
            }
        }
        if let first, let last { frame.fillTimesWithoutTrades(symbol: symbol, from: first, to: last) }
    }

    private func badRecord(
        _ what: String, _ collection: CollectionName, _ document: [UInt8]
    ) -> GraphBuilderError {
        let text = String(decoding: document.prefix(200), as: UTF8.self)
        return GraphBuilderError(.badRecord, "a document of \(collection) is no \(what): \(text)")
    }
}

/// It was asked to stop.
struct GraphStopped: Error {}
