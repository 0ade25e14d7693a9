import ServiceRuntime
import Workflow

/// What schedules and backfills need of queues.
package struct QueueStarter: Sendable {
    /// Creates the queue of a request, or finds the one that this key has made already.
    ///
    /// Throws ``RequestError`` when the request is refused; any other error may be gone at the next try.
    package var start: @Sendable (_ body: JSONValue, _ idempotencyKey: String) async throws -> QueueID
    /// The plan of a request, without asking anybody.
    package var plan: @Sendable (_ body: JSONValue) async throws -> Plan
    /// Everything that is checked before a queue is created, the exchange's word included; creates nothing.
    package var validate: @Sendable (_ body: JSONValue) async throws -> Plan
    /// Asks a queue to finish what it has in hand and end; fine when it has ended or is gone.
    package var stop: @Sendable (_ queue: QueueID) async throws -> Void

    package init(
        start: @escaping @Sendable (JSONValue, String) async throws -> QueueID,
        plan: @escaping @Sendable (JSONValue) async throws -> Plan,
        validate: @escaping @Sendable (JSONValue) async throws -> Plan,
        stop: @escaping @Sendable (QueueID) async throws -> Void
    ) {
        self.start = start
        self.plan = plan
        self.validate = validate
        self.stop = stop
    }

    /// The actor of a stop in the queue's history.
    static let actor = "engine"

    /// - Parameter reconcile: told when a queue was asked to stop.
    package init(_ start: StartQueue, store: EngineStore, reconcile: Wakeups) {
        self.init(
            start: { body, key in
                try await start(body: body, idempotencyKey: key, traceparent: nil).queueID
            },
            plan: { try await start.plan(of: $0).plan },
            validate: { try await start.validate(body: $0).plan },
            stop: { queue in
                _ = try await store.request(.stop, of: queue, actor: Self.actor)
                reconcile.signal()
            })
    }

    /// How the start of a queue ended.
    enum Outcome: Sendable {
        case started(QueueID)
        case refused(RequestError)
        /// Nothing was created, but it may be later: the exchange is away.
        case unavailable(String)
        /// It is not known whether something was created: ask again with the same key.
        case unknown(String)
    }

    func outcome(_ body: JSONValue, key: String) async throws(CancellationError) -> Outcome {
        do {
            return .started(try await start(body, key))
        } catch let error as RequestError {
            switch error.code {
            case .unavailable, .rateLimited: return .unavailable("\(error)")
            default: return .refused(error)
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            return .unknown("\(error)")
        }
    }
}

/// Pauses between tries of a start that is not possible just now.
enum StartRetry {
    private static let policy = {
        var policy = RetryPolicy()
        policy.backoffInitialSeconds = 0.5
        policy.backoffMaxSeconds = 15
        return policy
    }()

    /// Milliseconds until the next try; how much of them chance takes away is drawn here.
    static func pause(afterFailures failures: Int) -> Int64 {
        policy.delay(afterFailures: failures, jitter: .random(in: 0...1)).milliseconds
    }

    /// An error's text is kept up to this length.
    static let reasonCharactersMax = 500

    static func reason(_ text: String) -> String { String(text.prefix(reasonCharactersMax)) }
}
