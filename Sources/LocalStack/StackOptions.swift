import Foundation

/// What one `streamforge up` runs and where.
package struct StackOptions: Sendable {
    /// Data, logs and the lock; made when missing. One running stack a folder.
    package var dataDirectory = ".streamforge"
    /// Port of the queue-manager; 0 takes a free one.
    package var port = 8080
    /// false starts everything but the queue-manager, for a tester that runs it itself.
    package var runsQueueManager = true
    /// Pool workers to run, and the targets they take.
    package var poolWorkers = 0
    package var poolTargets: [String] = []
    /// Connectors of shared topics to run.
    package var connectors = 0
    /// Folder of `streamforge`, `queue-manager` and `streamforge-worker`.
    package var programsDirectory = StackPrograms.ownDirectory
    /// Passed on to the parts, and read: where `POSTGRES_URL`, `KAFKA_BOOTSTRAP_SERVERS`, `ARANGO_URL` or
    /// `BINANCE_API_URL` is set, that system is used and none of ours started.
    package var environment: [String: String]
    /// For each part, until it answers.
    package var startLimit = Duration.seconds(90)
    /// For the queue-manager and its workers, until SIGKILL.
    package var stopGrace = Duration.seconds(10)
    /// false: a power cut may destroy the database.
    package var isDurable = true

    package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        self.environment = environment
    }
}

/// Where the parts of a running stack are.
package struct StackAddresses: Sendable, Equatable {
    /// `http://127.0.0.1:8080`; nil when the stack runs without one.
    package var queueManager: String?
    /// Without the password.
    package var postgres: String
    /// `host:port`, several with commas.
    package var kafka: String
    /// What the broker is, e.g. `noidaDB`.
    package var kafkaKind: String
    package var exchange: String
    /// nil: documents go to PostgreSQL.
    package var arango: String?
}

/// Why a stack could not start or had to end: one line that says what to do.
package struct StackError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The part it is about, e.g. `queue-manager`.
    package var part: String
    package var detail: String

    init(_ part: String, _ detail: String) {
        self.part = part
        self.detail = detail
    }

    package var description: String { "\(part): \(detail)" }
}
