import BinanceFeed
import LoaderKit
import MarketData
import ServiceRuntime
import WorkerKit
import Workflow

/// The worker kind `loader-api-trades`: aggregate or raw trades from the exchange's REST API to the instance's
/// partition.
package enum TradeLoader {
    package static let kind = WorkerKind(
        name: Target.loaderAPITrades.rawValue,
        summary: "Loads trades from the exchange into the data topic.", settings: TradeSettings.groups
    ) { values in
        let range = try TradeSettings.range(values)
        return { context in
            let aggregate = context.settings[ExchangeSettings.aggregateTradesWeight]
            let raw = context.settings[ExchangeSettings.historicalTradesWeight]
            // Raw trades begin with a look for the first aggregate.
            let weightMax = range.kind == .aggregate ? aggregate : max(aggregate, raw)
            let frame = LoaderFrame(context, .trades, requestWeightMax: weightMax) {
                $0.aggregateTradesWeight = aggregate
                $0.historicalTradesWeight = raw
            }
            return try await frame.run {
                TradeSource(range, feed: $0)
            } missing: {
                range.idsMissing(in: $0)
            }
        }
    }
}

extension TradeRange {
    /// Ids between the first and the last trade that the exchange does not have.
    func idsMissing(in progress: LoadProgress) -> Int64 {
        guard let first = progress.firstKey.flatMap({ RecordKey.tradeID(ofTrade: $0, symbol, kind) }),
            let last = progress.lastKey.flatMap({ RecordKey.tradeID(ofTrade: $0, symbol, kind) })
        else { return 0 }
        return last - first + 1 - progress.lastSeq
    }
}
