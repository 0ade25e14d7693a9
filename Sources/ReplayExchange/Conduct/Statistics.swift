import Synchronization

/// What was asked and answered since the start; `GET /_replay/stats`.
package struct ExchangeStatistics: Codable, Sendable, Equatable {
    package struct Client: Codable, Sendable, Equatable {
        package var requests = 0
        /// Answers 429 or 418 with Retry-After.
        package var refusals = 0
        /// Requests that came before the Retry-After this client was told had passed.
        package var requestsBeforeRetryAfter = 0

        enum CodingKeys: String, CodingKey {
            case requests, refusals
            case requestsBeforeRetryAfter = "requests_before_retry_after"
        }
    }

    package var seed: UInt64
    /// By HTTP status; a body that was cut counts as `cut`.
    package var answers: [String: Int] = [:]
    package var recordsServed = 0
    package var requestsBeforeRetryAfter = 0
    /// By address and User-Agent, so that workers on one machine can be told apart.
    package var clients: [String: Client] = [:]

    enum CodingKeys: String, CodingKey {
        case seed, answers, clients
        case recordsServed = "records_served"
        case requestsBeforeRetryAfter = "requests_before_retry_after"
    }
}

/// Collects ``ExchangeStatistics``.
final class StatisticsCollector: Sendable {
    /// Later clients are counted together as `others`.
    static let clientsMax = 1_000

    private struct State {
        var statistics: ExchangeStatistics
        var retryAt: [String: ContinuousClock.Instant] = [:]
    }

    private let state: Mutex<State>

    init(seed: UInt64) {
        state = Mutex(State(statistics: ExchangeStatistics(seed: seed)))
    }

    var snapshot: ExchangeStatistics { state.withLock { $0.statistics } }

    func requestArrived(from client: String, at now: ContinuousClock.Instant) {
        state.withLock { state in
            let name = Self.name(client, in: state)
            state.statistics.clients[name, default: .init()].requests += 1
            guard let retryAt = state.retryAt[name], now < retryAt else { return }
            state.statistics.clients[name, default: .init()].requestsBeforeRetryAfter += 1
            state.statistics.requestsBeforeRetryAfter += 1
        }
    }

    func answered(_ answer: String, recordCount: Int) {
        state.withLock { state in
            state.statistics.answers[answer, default: 0] += 1
            state.statistics.recordsServed += recordCount
        }
    }

    func refused(_ client: String, retryAfterSeconds: Int64, at now: ContinuousClock.Instant) {
        state.withLock { state in
            let name = Self.name(client, in: state)
            state.statistics.clients[name, default: .init()].refusals += 1
            state.retryAt[name] = now + .seconds(retryAfterSeconds)
        }
    }

    private static func name(_ client: String, in state: State) -> String {
        let isKnown = state.statistics.clients[client] != nil
        return isKnown || state.statistics.clients.count < clientsMax ? client : "others"
    }
}
