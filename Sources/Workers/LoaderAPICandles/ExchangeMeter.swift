import BinanceFeed
import Synchronization
import Workflow

/// Counts what the exchange did in this attempt, for the events.
final class ExchangeMeter: Sendable {
    private struct State {
        var requests: Int64 = 0
        var retries: Int64 = 0
        var refusals: Int64 = 0
        /// The exchange's own count after the last answer.
        var usedWeight: Int?
    }

    private let state = Mutex(State())
    private let observer: LoaderObserver

    init(observer: LoaderObserver) {
        self.observer = observer
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
            case .heldBack, .holeFound: break
            }
        }
        observer(observation)
    }

    /// The `extra` of an event: requests of this attempt, and what is known of holes.
    ///
    /// - Parameter missing: candles the whole range lacks; nil before the end.
    func extra(_ progress: LoadProgress, missing: Int64? = nil) -> [String: JSONValue] {
        let state = state.withLock { $0 }
        var extra: [String: JSONValue] = [
            "requests": .integer(state.requests), "retries": .integer(state.retries),
            "limited": .integer(state.refusals), "transactions": .integer(Int64(progress.transactions)),
        ]
        if let weight = state.usedWeight { extra["weight"] = .integer(Int64(weight)) }
        if let missing { extra["candles_missing"] = .integer(missing) }
        if !progress.holes.isEmpty {
            extra["holes"] = .array(
                progress.holes.map { hole in
                    .object([
                        "from": .integer(hole.from), "to": .integer(hole.to),
                        "candles": .integer(hole.candleCount),
                    ])
                })
            extra["holes_left_out"] = .integer(Int64(progress.holesLeftOut))
        }
        return extra
    }
}
