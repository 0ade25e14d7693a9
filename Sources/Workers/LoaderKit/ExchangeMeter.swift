import BinanceFeed
import ServiceRuntime
import Synchronization
import Workflow

/// Counts what the exchange did in this attempt, and tells the events how far the load is or what it waits for.
final class ExchangeMeter: Sendable {
    private struct State {
        var requests: Int64 = 0
        var retries: Int64 = 0
        var refusals: Int64 = 0
        /// Files of the exchange that were read.
        var files: Int64 = 0
        /// The exchange's own count after the last answer.
        var usedWeight: Int?
        var progress = LoadProgress()
    }

    /// As ``WorkerContext/loading(_:message:extra:)``.
    typealias Tell = @Sendable (InstanceCounts, _ message: String, _ extra: [String: JSONValue]) -> Void

    private let state = Mutex(State())
    private let observer: LoaderObserver
    private let noun: RecordNoun
    private let tell: Tell

    init(observer: LoaderObserver, noun: RecordNoun, tell: @escaping Tell) {
        self.observer = observer
        self.noun = noun
        self.tell = tell
    }

    /// Tells what is committed.
    func report(_ progress: LoadProgress) {
        state.withLock { $0.progress = progress }
        tell(progress.counts, "Loading", extra(progress))
    }

    func note(_ observation: FeedObservation) {
        state.withLock { state in
            switch observation {
            case .pageRead(_, _, let usedWeight):
                state.requests += 1
                state.usedWeight = usedWeight ?? state.usedWeight
            case .retried:
                state.requests += 1
                state.retries += 1
            case .limited:
                state.requests += 1
                state.refusals += 1
            case .fileRead: state.files += 1
            case .waiting, .heldBack, .holeFound, .archiveRead, .filePassedOver: break
            }
        }
        observer(observation)
        if case .waiting(let wait) = observation, wait.duration >= Self.waitTold {
            let progress = state.withLock { $0.progress }
            tell(progress.counts, Self.message(wait), extra(progress))
        }
    }

    /// Shorter waits are over before anybody has read of them.
    private static let waitTold = Duration.milliseconds(500)

    /// What a wait is for, for people.
    static func message(_ wait: BudgetWait) -> String {
        let end = wait.until.map { " until \(UTCTimestamp(milliseconds: $0))" } ?? ""
        switch wait.reason {
        case .weight, .turn, .inFlight: return "Waiting for exchange weight\(end)"
        case .probe: return "Waiting for another loader's first answer of the exchange"
        case .backOff: return "Waiting as the exchange asked to stay away\(end)"
        case .ban: return "Waiting while the exchange bans this address\(end)"
        case .storeAway: return "Waiting for the database of the exchange's budget"
        }
    }

    /// The `extra` of an event: requests of this attempt, and what is known of holes.
    ///
    /// - Parameter missing: records the whole range lacks; nil before the end.
    func extra(_ progress: LoadProgress, missing: Int64? = nil) -> [String: JSONValue] {
        let state = state.withLock { $0 }
        var extra: [String: JSONValue] = [
            "requests": .integer(state.requests), "retries": .integer(state.retries),
            "limited": .integer(state.refusals), "transactions": .integer(Int64(progress.transactions)),
        ]
        if state.files > 0 { extra["files"] = .integer(state.files) }
        if let weight = state.usedWeight { extra["weight"] = .integer(Int64(weight)) }
        if let missing { extra["\(noun)_missing"] = .integer(missing) }
        if !progress.holes.isEmpty {
            extra["holes"] = .array(
                progress.holes.map { hole in
                    .object([
                        "from": .integer(hole.from), "to": .integer(hole.to),
                        noun.rawValue: .integer(hole.recordCount),
                    ])
                })
            extra["holes_left_out"] = .integer(Int64(progress.holesLeftOut))
        }
        return extra
    }
}
