/// What may travel in an offer to a pool: everybody who may read the topic reads it, and who may write to it
/// must not make a worker read a file.
package struct OfferedEnvironment: Sendable {
    private let secrets: Set<String>

    /// - Parameter table: a worker's own settings, whose secrets count beside the shared ones.
    package init(table: SettingsTable? = nil) {
        let groups = [
            KafkaSettings.group, PostgresSettings.group, ArangoSettings.group, ExchangeSettings.group,
            ObjectStoreSettings.group,
        ]
        let settings = groups.flatMap(\.settings) + (table?.settings ?? [])
        secrets = Set(settings.filter(\.isSecret).flatMap { [$0.name] + $0.aliases })
    }

    /// The first variable that may not be offered: a secret, or the file form of a setting.
    package func refused(in environment: [String: String]) -> String? {
        environment.keys.filter { $0.hasSuffix("_FILE") || secrets.contains($0) }.min()
    }
}
