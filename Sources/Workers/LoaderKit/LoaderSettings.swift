import MarketData
import ServiceRuntime
import Workflow

/// What every loader reads from its environment besides what every worker reads.
package enum LoaderSettings {
    package static let timeRange = WorkerSettings.timeRange.typed(
        expects: "two days, `first:last`, the first not after the last"
    ) { DayRange($0) }

    /// - Parameters:
    ///   - name: of the group with the range.
    ///   - own: that group's further settings.
    package static func groups(
        _ name: String, _ own: [any AnySetting], exchange: SettingsGroup
    ) -> [SettingsGroup] {
        [
            SettingsGroup(name, own + [timeRange, WorkerSettings.asOf]), WorkerSettings.data,
            SharedRoute.group,
            exchange,
            SettingsGroup("PostgreSQL", [PostgresSettings.optionalURL]),
        ]
    }

    /// - Throws: ``SettingsError`` for a symbol that is none.
    package static func symbol(_ values: SettingValues) throws(SettingsError) -> Symbol {
        guard let symbol = Symbol(values[WorkerSettings.symbol]) else {
            throw SettingsError(problems: [
                SettingProblem(WorkerSettings.symbol, value: values[WorkerSettings.symbol])
            ])
        }
        return symbol
    }
}
