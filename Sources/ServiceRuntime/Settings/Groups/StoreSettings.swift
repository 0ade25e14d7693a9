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

    package enum Source: String, Sendable, CaseIterable {
        case rest, archive, auto
    }

    package static let source = Setting<Source>.choice(
        "EXCHANGE_SOURCE", example: "auto",
        doc:
            "Where loaders read: `rest`, the API; `archive`, the exchange's files of whole days and months; `auto`, "
            + "the files where there are any, else the API. A step's `params.source` goes before."
    ).fallback("rest")
    package static let archiveURL = Setting.url(
        "EXCHANGE_ARCHIVE_URL", example: "http://127.0.0.1:9080", doc: "Where the exchange's files are."
    ).fallback("https://data.binance.vision")
    package static let archiveFolder = Setting.path(
        "EXCHANGE_ARCHIVE_DIR", example: "/var/tmp",
        doc: "Folder where a loader keeps one of the exchange's files while it reads it, without a name."
    ).alias("TMPDIR").fallback("/tmp")
    package static let archiveBytesMax = Setting<Int>.integer(
        "EXCHANGE_ARCHIVE_BYTES_MAX", in: 1_048_576...68_719_476_736, example: "1073741824",
        doc: "Longest of the exchange's files taken, zipped; a month that is longer is read by its days."
    ).unit("bytes").fallback("1073741824")

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
            [url, egress, budgetURL, source, archiveURL, archiveFolder, archiveBytesMax, pageRowsMax]
                + weights
                + [weightMax, certificateAuthorityPath])
    }
}
