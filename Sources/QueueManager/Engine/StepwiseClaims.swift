import Synchronization
import Workflow

/// Claims whose effects are carried out step by step, as those see them who write events of their queues.
///
/// Whoever is about to write an event that ends an attempt asks for the queue and looks at it in the same transaction;
/// its holder goes on from that look. Where nobody answers, the holder is told afterwards and looks by itself.
///
/// Bounded by the reconciler's claims: each has at most one place, with at most one waiter and one question for each
/// transaction that is under way.
final class StepwiseClaims: Sendable {
    /// Somebody who waits for a queue to be handed in.
    struct Question: Sendable {
        fileprivate let asker: CheckedContinuation<HeldFollowUps.Held?, Never>
    }

    private struct Place {
        let token: String
        /// Whether its holder answers questions.
        let isHandedIn: Bool
        var questions: [Question] = []
        /// Events were written without a look.
        var isTold = false
        var waiter: CheckedContinuation<Void, Never>?

        var hasNews: Bool { isTold || !questions.isEmpty }
    }

    /// The last one of a queue is the newest: those before it were lost and not noticed yet.
    private let places = Mutex<[QueueID: [Place]]>([:])

    // MARK: Those who hold

    /// - Parameter isHandedIn: whether the holder answers questions until ``close(_:)``.
    func open(_ claim: QueueClaim, isHandedIn: Bool) {
        places.withLock {
            $0[claim.queueID, default: []].append(Place(token: claim.token, isHandedIn: isHandedIn))
        }
    }

    /// Whoever waits goes on; later waits return at once, and questions are not answered any more.
    func close(_ claim: QueueClaim) {
        let place = places.withLock { places -> Place? in
            guard let index = places[claim.queueID]?.firstIndex(where: { $0.token == claim.token }) else {
                return nil
            }
            defer { if places[claim.queueID]?.isEmpty == true { places[claim.queueID] = nil } }
            return places[claim.queueID]?.remove(at: index)
        }
        place?.waiter?.resume()
        for question in place?.questions ?? [] { question.asker.resume(returning: nil) }
    }

    /// Returns when there is something to ``take(_:)``, or at the end of the claim's place.
    func wait(for claim: QueueClaim) async {
        await withCheckedContinuation { waiter in
            let waits = change(claim) { place in
                guard !place.hasNews else { return false }
                place.waiter = waiter
                return true
            }
            if waits != true { waiter.resume() }
        }
    }

    /// What came since it was last taken; each question must be answered.
    func take(_ claim: QueueClaim) -> (questions: [Question], isTold: Bool) {
        let news = change(claim) { place in
            defer { (place.questions, place.isTold) = ([], false) }
            return (place.questions, place.isTold)
        }
        return news ?? ([], false)
    }

    /// Hands a queue in; returns when it was looked at or given back.
    func answer(_ question: Question, with followUp: LookFollowUp) async -> HeldFollowUps.Outcome {
        await withCheckedContinuation { waiter in
            question.asker.resume(returning: HeldFollowUps.Held(followUp: followUp, waiter: waiter))
        }
    }

    // MARK: Those who write events

    /// Events of these queues were written that nobody looked at.
    func tell(_ queues: some Sequence<QueueID>) {
        let waiters = places.withLock { places in
            queues.flatMap { queue -> [CheckedContinuation<Void, Never>] in
                for index in (places[queue] ?? []).indices { places[queue]?[index].isTold = true }
                return Self.takeWaiters(&places[queue])
            }
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Those of the given queues that are handed in; each must be resumed.
    ///
    /// A holder that just looks at its queue answers when that is done, which the store bounds: this transaction would
    /// have to wait for that one's lock anyway.
    func ask(for queues: some Sequence<QueueID>) async -> [HeldFollowUps.Held] {
        let asked = places.withLock { places in queues.filter { places[$0]?.last?.isHandedIn == true } }
        guard !asked.isEmpty else { return [] }
        return await withTaskGroup(of: HeldFollowUps.Held?.self) { group in
            for queue in asked { group.addTask { await self.ask(for: queue) } }
            return await group.reduce(into: []) { held, one in if let one { held.append(one) } }
        }
    }

    private func ask(for queue: QueueID) async -> HeldFollowUps.Held? {
        await withCheckedContinuation { asker in
            let (isAsked, waiters) = places.withLock { places in
                guard let last = places[queue]?.indices.last, places[queue]?[last].isHandedIn == true else {
                    return (false, [CheckedContinuation<Void, Never>]())
                }
                places[queue]?[last].questions.append(Question(asker: asker))
                return (true, Self.takeWaiters(&places[queue]))
            }
            if !isAsked { asker.resume(returning: nil) }
            for waiter in waiters { waiter.resume() }
        }
    }

    // MARK: Places

    private func change<Value: Sendable>(_ claim: QueueClaim, _ body: (inout Place) -> Value) -> Value? {
        places.withLock { places in
            guard let index = places[claim.queueID]?.firstIndex(where: { $0.token == claim.token }),
                var place = places[claim.queueID]?[index]
            else { return nil }
            defer { places[claim.queueID]?[index] = place }
            return body(&place)
        }
    }

    /// Those who wait although there is something for them.
    private static func takeWaiters(_ places: inout [Place]?) -> [CheckedContinuation<Void, Never>] {
        (places ?? []).indices.compactMap { index in
            guard places?[index].hasNews == true else { return nil }
            defer { places?[index].waiter = nil }
            return places?[index].waiter
        }
    }
}
