/// Which of the two document stores is used.
package enum DocumentStoreSettings {
    package enum Kind: String, Sendable, CaseIterable {
        case arango, postgres
    }

    package static let kind = Setting<Kind>.choice(
        "DOCUMENT_STORE", example: "postgres",
        doc: "Where documents go. Not set: ArangoDB when `ARANGO_URL` is set, else PostgreSQL."
    ).optional()
}

/// ArangoDB as the document store.
package enum ArangoSettings {
    package static let url = Setting.url(
        "ARANGO_URL", example: "http://127.0.0.1:8529",
        doc: "ArangoDB's address. Not set: documents go to PostgreSQL (`POSTGRES_URL`)."
    ).optional()
    package static let database = Setting.text("ARANGO_DB", example: "streamforge", doc: "The database.")
        .fallback("streamforge")
    package static let user = Setting.text("ARANGO_USER", example: "root", doc: "The user.").fallback("root")
    package static let password = Setting.secret("ARANGO_PASSWORD", doc: "The user's password.").optional()
    package static let certificateAuthorityPath = Setting.path(
        "ARANGO_CA_PATH", example: "/etc/streamforge/arango-ca.crt",
        doc: "PEM file with the certificates that the server's own is checked against. Not set: the system's."
    ).optional()

    package static let group = SettingsGroup(
        "ArangoDB", [url, database, user, password, certificateAuthorityPath])
}

/// PostgreSQL: the queue-manager's truth, and a document store.
package enum PostgresSettings {
    package static let url = Setting.secret(
        "POSTGRES_URL",
        doc:
            "PostgreSQL's address, `postgres://user:password@host:port/database`: the queue-manager's state; "
            + "for workers, the document store where `ARANGO_URL` is not set, and the exchange's shared budget "
            + "where `EXCHANGE_BUDGET_URL` is not.")
    package static let group = SettingsGroup("PostgreSQL", [url])
    /// For workers, which need one of the two stores.
    package static let optionalURL = url.optional()
}

/// The object store for models.
package enum ObjectStoreSettings {
    package static let endpoint = Setting.url(
        "MINIO_ENDPOINT", example: "http://127.0.0.1:9000", doc: "Address of an S3 object store."
    ).optional()
    package static let accessKey = Setting.text(
        "MINIO_ACCESS_KEY", example: "streamforge", doc: "Access key."
    ).optional()
    package static let secretKey = Setting.secret("MINIO_SECRET_KEY", doc: "Secret key.").optional()
    package static let bucket = Setting.text("MINIO_BUCKET", example: "streamforge", doc: "The bucket.")
        .alias("MINIO_BUCKET_NAME").fallback("streamforge")

    package static let group = SettingsGroup("Object store", [endpoint, accessKey, secretKey, bucket])
}

/// The exchange data is loaded from.
package enum ExchangeSettings {
    package static let url = Setting.url(
        "BINANCE_API_URL", example: "http://127.0.0.1:9080", doc: "The exchange's REST address."
    ).fallback("https://api.binance.com")
    package static let egress = Setting.text(
        "EXCHANGE_EGRESS", example: "default",
        doc: "The address loaders go out by; those of one name share the exchange's weight limit."
    ).fallback("default")
    package static let budgetURL = Setting.secret(
        "EXCHANGE_BUDGET_URL",
        doc:
            "PostgreSQL's address for loaders that share the exchange's weight limit, with a user that sees the "
            + "budget's tables only. Not set: `POSTGRES_URL`; without both the limit counts per process."
    ).optional()

    package static let pageRowsMax = Setting<Int>.integer(
        "EXCHANGE_PAGE_ROWS", in: 1...1_000, example: "1000", doc: "Records asked for at once."
    ).fallback("1000")
    package static let klinesWeight = Setting<Int>.integer(
        "EXCHANGE_KLINES_WEIGHT", in: 1...10_000, example: "2",
        doc: "Request weight the exchange counts for one page of candles."
    ).fallback("2")
    package static let aggregateTradesWeight = Setting<Int>.integer(
        "EXCHANGE_AGG_TRADES_WEIGHT", in: 1...10_000, example: "4",
        doc: "Request weight the exchange counts for one page of aggregate trades."
    ).fallback("4")
    package static let historicalTradesWeight = Setting<Int>.integer(
        "EXCHANGE_HISTORICAL_TRADES_WEIGHT", in: 1...10_000, example: "25",
        doc: "Request weight the exchange counts for one page of raw trades."
    ).fallback("25")
    package static let weightMax = Setting<Int>.integer(
        "EXCHANGE_WEIGHT_MAX", in: 1...1_000_000, example: "6000",
        doc: "Request weight a minute that the exchange allows one address."
    ).fallback("6000")
    package static let certificateAuthorityPath = Setting.path(
        "EXCHANGE_CA_PATH", example: "/etc/streamforge/exchange-ca.crt",
        doc:
            "PEM file with the certificates that the exchange's own is checked against. Not set: the system's."
    ).optional()

    /// All of them; a loader has those of its kind.
    package static let group = group([klinesWeight, aggregateTradesWeight, historicalTradesWeight])
    package static let candles = group([klinesWeight])
    package static let trades = group([aggregateTradesWeight, historicalTradesWeight])

    private static func group(_ weights: [Setting<Int>]) -> SettingsGroup {
        SettingsGroup(
            "Exchange",
            [url, egress, budgetURL, pageRowsMax] + weights + [weightMax, certificateAuthorityPath])
    }
}
