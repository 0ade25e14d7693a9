import BinanceFeed
import LoaderKit
import MarketData
import ServiceRuntime
import Workflow

/// What the loader of trades reads from its environment.
enum TradeSettings {
    static let groups = LoaderSettings.groups("Trades", [], exchange: ExchangeSettings.trades)

    /// - Throws: ``SettingsError`` for what no single setting shows.
    static func range(_ values: SettingValues) throws(SettingsError) -> TradeRange {
        let days = values[LoaderSettings.timeRange]
        let type = values[WorkerSettings.type]
        guard let kind = TradeKind(type: type) else {
            throw SettingsError(problems: [SettingProblem(WorkerSettings.type, value: type)])
        }
        return TradeRange(
            symbol: try LoaderSettings.symbol(values), kind: kind, from: days.startMilliseconds,
            to: days.endMilliseconds, asOf: values[WorkerSettings.asOf])
    }
}
