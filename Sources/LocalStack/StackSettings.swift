import KafkaBridge
import ServiceRuntime

/// What `streamforge up` reads from the environment: systems that are there already.
package enum StackSettings {
    static let bootstrapServers = KafkaSettings.bootstrapServers.optional()
    static let exchangeURL = Setting<String>.url(
        "BINANCE_API_URL", example: "https://api.binance.com",
        doc: "The exchange to load from. Not set: the stack's own replay exchange."
    ).optional()
    static let kafkaHome = Setting<String>.path(
        "KAFKA_HOME", example: "/opt/kafka", doc: "The folder of an Apache Kafka to start as the broker."
    ).optional()
    static let noidaDB = Setting<String>.path(
        "NOIDA_DB", example: "/usr/local/bin/noida-db",
        doc: "The small broker to start where `KAFKA_HOME` is not set. Not set: the one of `scripts/setup`."
    ).optional()

    package static let table = SettingsTable(
        program: "streamforge up",
        groups: [
            SettingsGroup(
                "Kafka",
                [
                    bootstrapServers, KafkaSettings.securityProtocol, KafkaSettings.saslMechanism,
                    KafkaSettings.user, KafkaSettings.password, KafkaSettings.certificateAuthorityPath,
                    kafkaHome, noidaDB,
                ]),
            SettingsGroup("PostgreSQL", [PostgresSettings.optionalURL]),
            ArangoSettings.group,
            SettingsGroup("Exchange", [exchangeURL, ExchangeSettings.weightMax]),
        ])

    /// The user's own broker, or nil to start one.
    static func externalKafka(_ values: SettingValues) throws(SettingsError) -> KafkaConnection? {
        guard let servers = values[bootstrapServers] else { return nil }
        try KafkaSettings.check(values)
        return KafkaConnection(
            servers, security: KafkaConnection.Security(values), clientID: "streamforge-up")
    }
}
