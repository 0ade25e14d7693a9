import HTTPBridge

/// Where ArangoDB is and how to talk to it.
package struct ArangoDBSettings: Sendable {
    package enum Authentication: Sendable {
        /// The server runs without authentication.
        case none
        /// User and password with every request.
        case basic(@Sendable () -> ArangoDBCredentials)
        /// A token from `/_open/auth`, renewed before it expires and when the server refuses it.
        case token(@Sendable () -> ArangoDBCredentials)
    }

    /// E.g. `http://127.0.0.1:8529`, without a path.
    package var url: String
    package var database: String
    /// The closures are asked each time a token or header is made, so a changed password is picked up.
    package var authentication: Authentication
    /// Creates the database when it is missing; needs rights on `_system`.
    package var createsDatabase: Bool
    package var caFile: String?
    package var retry = ArangoDBRetryPolicy()
    /// For every request; the whole time covers an import of 8 MiB that is synced to disk.
    package var timeouts = HTTPTimeouts(connect: .seconds(5), whole: .seconds(60), idle: .seconds(60))

    package init(
        url: String, database: String, authentication: Authentication, createsDatabase: Bool = false,
        caFile: String? = nil
    ) {
        self.url = url
        self.database = database
        self.authentication = authentication
        self.createsDatabase = createsDatabase
        self.caFile = caFile
    }
}

package struct ArangoDBCredentials: Sendable {
    package var user: String
    package var password: String

    package init(user: String, password: String) {
        self.user = user
        self.password = password
    }
}

/// How often a request that may succeed later is sent, and how long we wait in between.
package struct ArangoDBRetryPolicy: Sendable {
    package var attemptMax = 6
    package var backoffInitial = Duration.milliseconds(100)
    package var backoffMax = Duration.seconds(5)

    package init() {}

    /// Doubles from try to try; a random part keeps many workers from coming back at the same moment.
    func pause(after attempt: Int) -> Duration {
        let full = min(backoffInitial * (1 << min(attempt - 1, 20)), backoffMax)
        return full * Double.random(in: 0.5...1)
    }
}
