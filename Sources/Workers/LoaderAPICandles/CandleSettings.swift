import BinanceFeed
import LoaderKit
import MarketData
import ServiceRuntime
import Workflow

/// What the loader of candles reads from its environment.
enum CandleSettings {
    static let interval = WorkerSettings.interval.typed(
        expects: "an interval of the exchange: "
            + KlineInterval.allCases.map(\.rawValue).joined(separator: ", ")
    ) { (text: String?) -> KlineInterval?? in
        guard let text else { return .some(nil) }
        return CandleSettings.interval(text).map { .some($0) }
    }

    static let groups = LoaderSettings.groups("Candles", [interval], exchange: ExchangeSettings.candles)

    /// - Throws: ``SettingsError`` for what no single setting shows.
    static func range(_ values: SettingValues) throws(SettingsError) -> KlineRange {
        let days = values[LoaderSettings.timeRange]
        return KlineRange(
            symbol: try LoaderSettings.symbol(values), interval: try klineInterval(values),
            from: days.startMilliseconds, to: days.endMilliseconds, asOf: values[WorkerSettings.asOf])
    }

    /// `INTERVAL`, or the one in `TYPE`; both given must agree.
    private static func klineInterval(_ values: SettingValues) throws(SettingsError) -> KlineInterval {
        let type = values[WorkerSettings.type]
        let prefix = "api_candles"
        guard type.hasPrefix(prefix) else {
            throw SettingsError(problems: [SettingProblem(WorkerSettings.type, value: type)])
        }
        let rest = type.dropFirst(prefix.count)
        let inType = rest.hasPrefix("_") ? KlineInterval(keyText: String(rest.dropFirst())) : nil
        guard rest.isEmpty || inType != nil else {
            throw SettingsError(problems: [SettingProblem(WorkerSettings.type, value: type)])
        }
        guard let chosen = values[interval] ?? inType else {
            throw SettingsError(problems: [
                SettingProblem(interval, reason: "is not set and TYPE \"\(type)\" names no interval")
            ])
        }
        guard chosen == inType ?? chosen else {
            throw SettingsError(problems: [
                SettingProblem(
                    interval, reason: "\"\(chosen.keyText)\" disagrees with TYPE \"\(Redaction.shown(type))\""
                )
            ])
        }
        return chosen
    }

    private static func interval(_ text: String) -> KlineInterval? {
        KlineInterval(rawValue: text) ?? KlineInterval(keyText: text)
    }
}
