import Synchronization
import Workflow

/// Tells those who carry out a queue's effects that events of it were written meanwhile.
///
/// Bounded by the reconciler's claims: each has at most one place, with at most one waiter.
final class QueueNews: Sendable {
    private enum Place {
        case quiet
        /// Something came since the last wait.
        case told
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let places = Mutex<[QueueID: [String: Place]]>([:])

    func open(_ claim: QueueClaim) {
        places.withLock { $0[claim.queueID, default: [:]][claim.token] = .quiet }
    }

    /// Whoever waits goes on; later waits return at once.
    func close(_ claim: QueueClaim) {
        let waiter = places.withLock { places in
            let place = places[claim.queueID]?.removeValue(forKey: claim.token)
            if places[claim.queueID]?.isEmpty == true { places[claim.queueID] = nil }
            return if case .waiting(let waiter)? = place { waiter } else {
                nil as CheckedContinuation<Void, Never>?
            }
        }
        waiter?.resume()
    }

    func tell(_ queues: some Sequence<QueueID>) {
        let waiters = places.withLock { places in
            queues.flatMap { queue -> [CheckedContinuation<Void, Never>] in
                (places[queue] ?? [:]).compactMap { token, place in
                    guard case .waiting(let waiter) = place else {
                        places[queue]?[token] = .told
                        return nil
                    }
                    places[queue]?[token] = .quiet
                    return waiter
                }
            }
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when something was told since the last wait, or at the end of the claim's place.
    func wait(for claim: QueueClaim) async {
        await withCheckedContinuation { waiter in
            let waits = places.withLock { places in
                guard case .quiet? = places[claim.queueID]?[claim.token] else {
                    if places[claim.queueID]?[claim.token] != nil {
                        places[claim.queueID]?[claim.token] = .quiet
                    }
                    return false
                }
                places[claim.queueID]?[claim.token] = .waiting(waiter)
                return true
            }
            if !waits { waiter.resume() }
        }
    }
}
