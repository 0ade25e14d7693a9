import PostgresBridge
import ServiceRuntime
import Workflow

/// The store the settings name, with its address; opened later, when it may be away for a while.
package enum StoreChoice: Sendable {
    case arangoDB(ArangoDBSettings)
    /// Asked before each new connection.
    case postgreSQL(@Sendable () -> PostgresURL)

    /// With both addresses set it is ArangoDB, unless `DOCUMENT_STORE` says otherwise: the queue-manager's own
    /// PostgreSQL is always there.
    ///
    /// - Throws: ``SettingsError`` when the address that is needed is not set.
    package init(_ values: SettingValues) throws(SettingsError) {
        func refused(_ setting: any AnySetting, _ reason: String) -> SettingsError {
            SettingsError(problems: [SettingProblem(setting, reason: reason)])
        }
        let arango = values[ArangoSettings.url]
        let postgres = values[PostgresSettings.optionalURL]
        switch (values[DocumentStoreSettings.kind], arango, postgres) {
        case (nil, nil, nil):
            throw refused(
                PostgresSettings.optionalURL, "is not set and neither is ARANGO_URL: set one of them")
        case (.arango, nil, _):
            throw refused(ArangoSettings.url, "is not set and DOCUMENT_STORE is arango")
        case (.postgres, _, nil):
            throw refused(PostgresSettings.optionalURL, "is not set and DOCUMENT_STORE is postgres")
        case (.arango, let url?, _), (nil, let url?, _): self = .arangoDB(Self.settings(values, url: url))
        case (.postgres, _, let url?), (nil, nil, let url?):
            do {
                let watched = values.watched(PostgresSettings.optionalURL)
                self = .postgreSQL(try PostgresURL(url).following { watched.current() })
            } catch {
                throw refused(PostgresSettings.optionalURL, error.message)
            }
        }
    }

    private static func settings(_ values: SettingValues, url: String) -> ArangoDBSettings {
        let password = values.watched(ArangoSettings.password)
        let user = values[ArangoSettings.user]
        let credentials: @Sendable () -> ArangoDBCredentials = {
            ArangoDBCredentials(user: user, password: password.current() ?? "")
        }
        return ArangoDBSettings(
            url: url, database: values[ArangoSettings.database],
            // Without a password there is nothing to make a token of; a server without log-in ignores both.
            authentication: values[ArangoSettings.password] == nil
                ? .basic(credentials) : .token(credentials),
            caFile: values[ArangoSettings.certificateAuthorityPath])
    }

    /// - Parameter connectionsMax: how many calls are made at the same time, as far as the store has connections.
    package func open(connectionsMax: Int = 2) async throws(StoreError) -> any GraphStore {
        switch self {
        case .arangoDB(let settings): ArangoDBDocumentStore(settings)
        case .postgreSQL(let currentURL):
            try await PostgreSQLDocumentStore.open(currentURL: currentURL, connectionsMax: connectionsMax)
        }
    }
}
