/// How connections of a pool behave.
package struct PostgresConfiguration: Sendable {
    /// Asked before each new connection, so that a rotated password takes effect without a restart.
    package var currentURL: @Sendable () -> PostgresURL
    /// Shown in `pg_stat_activity`.
    package var applicationName: String
    package var connectionsMax: Int
    /// How long one attempt to connect may take.
    package var connectTimeout = Duration.seconds(5)
    /// How long a caller waits for a free connection, attempts to connect included.
    package var acquireTimeout = Duration.seconds(10)
    /// How many callers may wait at once; one more is refused.
    package var waitersMax = 1_000
    /// The server stops a statement that runs longer; nil: no limit. Ours is 5 s more: a server that is
    /// silent that long is taken for lost.
    package var statementTimeout: Duration? = .seconds(30)
    /// The server ends a session that sits in an open transaction longer than this.
    package var idleInTransactionTimeout = Duration.seconds(120)
    /// The first and the longest pause between attempts to connect.
    package var backoffInitial = Duration.milliseconds(50)
    package var backoffMax = Duration.seconds(2)
    /// Statements a connection keeps prepared.
    package var preparedStatementsMax = 256
    /// Settings of the session, e.g. `["temp_buffers": "16MB"]`; names are of the program, never input.
    package var sessionSettings: [String: String] = [:]

    package init(url: PostgresURL, applicationName: String = "streamforge", connectionsMax: Int = 8) {
        self.init(currentURL: { url }, applicationName: applicationName, connectionsMax: connectionsMax)
    }

    package init(
        currentURL: @escaping @Sendable () -> PostgresURL, applicationName: String = "streamforge",
        connectionsMax: Int = 8
    ) {
        self.currentURL = currentURL
        self.applicationName = applicationName
        self.connectionsMax = connectionsMax
    }

    /// The time after which a silent server is taken for lost.
    var silenceMax: Duration? { statementTimeout.map { $0 + .seconds(5) } }

    /// libpq's connection parameters: the URL's and ours.
    func connectionOptions(_ url: PostgresURL) -> [PostgresURL.Option] {
        var settings = sessionSettings
        settings["client_min_messages"] = "warning"
        settings["idle_in_transaction_session_timeout"] = String(idleInTransactionTimeout.milliseconds)
        if let statementTimeout { settings["statement_timeout"] = String(statementTimeout.milliseconds) }
        // libpq splits `options` at blanks; a backslash keeps one in a value.
        let text = settings.sorted { $0.key < $1.key }.map { name, value in
            "-c \(name)=\(value.replacing("\\", with: "\\\\").replacing(" ", with: "\\ "))"
        }
        let own = url["options"].map { [$0] } ?? []
        var result = url.options.filter { $0.keyword != "options" }
        result.append(.init(keyword: "options", value: (text + own).joined(separator: " ")))
        result.append(.init(keyword: "client_encoding", value: "UTF8"))
        // So that a vanished server is noticed within seconds, also by PQcancel, which has no time-out.
        let fallbacks = [
            ("application_name", applicationName), ("tcp_user_timeout", "10000"), ("keepalives_idle", "10"),
            ("keepalives_interval", "3"), ("keepalives_count", "3"),
        ]
        for (keyword, value) in fallbacks where url[keyword] == nil {
            result.append(.init(keyword: keyword, value: value))
        }
        return result
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var milliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}

/// What a pool or listener does, for logs and metrics.
package enum PostgresObservation: Sendable {
    case connected(processID: Int32, duration: Duration)
    case connectFailed(PostgresError, attempt: Int)
    case connectionReplaced(reason: String)
    case connectionWaitTimedOut(waiters: Int)
    case transactionRetried(PostgresError, attempt: Int)
    case migrationApplied(number: Int, name: String, duration: Duration)
    case listening(channels: [String])
}

package typealias PostgresObserver = @Sendable (PostgresObservation) -> Void
