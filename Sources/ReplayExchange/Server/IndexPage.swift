import MarketData

/// Page `/`: what this server is, what it holds and what its sources lack.
struct IndexPage: Sendable {
    let core: ExchangeCore

    var text: String {
        """
        StreamForge replay exchange: recorded market data in the shape of the exchange's public REST API.
        Not the exchange. Present: \(core.clock.now) ms. Seed: \(core.seed). Limits: \(limits).

        ENDPOINTS (GET)
        \(Endpoint.allCases.map { "  \($0.rawValue)  weight \($0.weight)" }.joined(separator: "\n"))
        Files of days and months that are over, and their .CHECKSUM files, made of the recordings, no weight:
          /data/spot/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2024-08-01.zip, monthly/…, aggTrades/…, trades/…
        Control, loopback only: GET and POST /_replay/faults, GET /_replay/stats

        DATA
        \(core.market.names.compactMap { core.market.symbols[$0] }.map(Self.line).joined(separator: "\n"))

        SOURCES
        \(sources)

        WHAT DIFFERS FROM THE EXCHANGE
          Columns a source lacks are zeros; the lines above say for which symbols.
          Longer intervals are added up from the recorded one, exactly; buckets at the ends of a recording
          hold what was recorded. An interval shorter than the recorded one, or shifted by a timeZone that
          cuts recorded candles, has no candles: the answer is [].
          Aggregate trades are made from consecutive trades of one price, time and side; their ids count
          from 1, because the source does not know the exchange's. quoteQty is price times quantity.
          A candle that is open at the present is served as recorded, so with its later values.
          exchangeInfo is derived from the recordings.
          Market data carries no licence of the exchange; the licence named is that of the repository the
          recording was copied from (README.md in the data folder).

        FAULTS NOW
        \(faults)
        """
    }

    private var sources: String {
        let lines = core.market.sources.split(separator: "\n").map { "  \($0)" }
        return lines.isEmpty ? "  the folder has no SOURCES.txt" : lines.joined(separator: "\n")
    }

    private var limits: String {
        guard let limits = core.limits else { return "none" }
        return "\(limits.weightMax) weight per \(limits.windowSeconds) s and address, "
            + "\(limits.rawRequestsMax) requests per \(limits.rawWindowSeconds) s"
    }

    private var faults: String {
        let faults = core.faults.settings
        let holes = faults.holes.map { "\($0.symbol) \($0.from)..<\($0.to)" }.joined(separator: ", ")
        return """
              latency \(faults.latencyMilliseconds) ms; 5xx share \(faults.serverErrorShare); \
            cut bodies share \(faults.cutBodyShare);
              files missing share \(faults.archiveMissingShare), damaged share \(faults.archiveDamageShare);
              429 storm of \(faults.stormSeconds) s every \(faults.stormEverySeconds) s; \
            pace \(faults.paceRecordsPerSecond) records/s a symbol (0: none); holes: \
            \(holes.isEmpty ? "none" : holes)
            """
    }

    private static func line(_ market: SymbolMarket) -> String {
        let candles = market.recorded.values
            .sorted { ($0.interval.milliseconds ?? .max) < ($1.interval.milliseconds ?? .max) }
            .map { series in
                "\(series.interval.rawValue) \(series.count) candles \(span(series.openTimes))"
            }
        let trades = market.tape.map { tape in
            "\(tape.trades.count) trades \(span(tape.trades.map(\.time))), "
                + "\(tape.aggregates.count) aggregates" + (tape.hasHoles ? ", ids have holes" : "")
        }
        let origin = market.origin == .recorded ? "recorded" : "SYNTHETIC"
        let lack =
            market.hasAllColumns
            ? "" : "; zeros: quote volume, trades, taker volumes"
        return "  \(market.symbol) \(origin): "
            + (candles + [trades].compactMap { $0 }).joined(separator: "; ")
            + lack
    }

    private static func span(_ times: [Int64]) -> String {
        guard let first = times.first, let last = times.last else { return "" }
        return "\(CivilDate(daysSince1970: floorDivide(first, CivilDate.millisecondsPerDay))) to "
            + "\(CivilDate(daysSince1970: floorDivide(last, CivilDate.millisecondsPerDay)))"
    }
}
