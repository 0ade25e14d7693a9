import BinanceFeed
import KafkaBridge
import MarketData
import ServiceRuntime
import WorkerKit
import Workflow

/// What the loader reads from its environment besides what every worker reads.
enum LoaderSettings {
    static let timeRange = WorkerSettings.timeRange.typed(
        expects: "two days, `first:last`, the first not after the last"
    ) { DayRange($0) }
    static let interval = WorkerSettings.interval.typed(
        expects: "an interval of the exchange: "
            + KlineInterval.allCases.map(\.rawValue).joined(separator: ", ")
    ) { (text: String?) -> KlineInterval?? in
        guard let text else { return .some(nil) }
        return LoaderSettings.interval(text).map { .some($0) }
    }

    static let groups = [
        SettingsGroup("Candles", [interval, timeRange, WorkerSettings.asOf]),
        WorkerSettings.data,
        ExchangeSettings.group,
        SettingsGroup("PostgreSQL", [PostgresSettings.optionalURL]),
    ]

    /// - Throws: ``SettingsError`` for what no single setting shows.
    static func range(_ values: SettingValues) throws(SettingsError) -> KlineRange {
        let days = values[timeRange]
        guard let symbol = Symbol(values[WorkerSettings.symbol]) else {
            throw SettingsError(problems: [
                SettingProblem(WorkerSettings.symbol, value: values[WorkerSettings.symbol])
            ])
        }
        return KlineRange(
            symbol: symbol, interval: try klineInterval(values), from: days.startMilliseconds,
            to: days.endMilliseconds, asOf: values[WorkerSettings.asOf])
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
