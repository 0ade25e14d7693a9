import BinanceFeed
import LoaderKit
import ServiceRuntime
import WorkerKit
import Workflow

/// The worker kind `loader-api-candles`: from the exchange's REST API to the instance's partition.
package enum CandleLoader {
    package static let kind = WorkerKind(
        name: Target.loaderAPICandles.rawValue,
        summary: "Loads candles from the exchange into the data topic.", settings: CandleSettings.groups
    ) { values in
        let range = try CandleSettings.range(values)
        return { context in
            let weight = context.settings[ExchangeSettings.klinesWeight]
            let frame = LoaderFrame(context, .candles, requestWeightMax: weight) { $0.klinesWeight = weight }
            return try await frame.run(interval: range.interval) {
                CandleSource(range, feed: $0)
            } missing: {
                range.candleCount - $0.lastSeq
            }
        }
    }
}

extension KlineRange {
    /// How many candles a range without holes has by its `asOf`.
    var candleCount: Int64 {
        interval.candleCount(from: from, to: min(to, interval.openTime(containing: asOf)))
    }
}
