import Synchronization
import Workflow

/// Claims whose effects are carried out step by step, as those see them who write events of their queues.
///
/// Whoever is about to write an event that ends an attempt asks for the queue and looks at it in the same transaction;
/// its holder goes on from that look. Where nobody answers within one or two ticks, the holder is told afterwards and
/// looks by itself. Bounded by the reconciler's claims: each has one place, and one question for each of those who write.
final class StepwiseClaims: Sendable {
    /// Somebody who waits for a queue to be handed in.
    struct Question: Sendable {
        fileprivate let asker: CheckedContinuation<HandedIn?, Never>
        fileprivate var ticks = 0
    }

    private struct Place {
        let token: String
        /// Whether its holder answers questions.
        let answers: Bool
        var questions: [Question] = []
        /// Events were written without a look.
        var isTold = false
        var waiter: CheckedContinuation<Void, Never>?

        var hasNews: Bool { isTold || !questions.isEmpty }
    }

    private struct State {
        /// The last one of a queue is the newest: those before it were lost and not noticed yet.
        var places: [QueueID: [Place]] = [:]
        var onQuestion: @Sendable () -> Void = {}

        var hasQuestions: Bool { places.values.contains { $0.contains { !$0.questions.isEmpty } } }

        /// - Returns: whether anybody may answer, and who is to be told.
        mutating func ask(
            _ question: Question, for queue: QueueID
        ) -> (isAsked: Bool, waiters: [CheckedContinuation<Void, Never>], onQuestion: (@Sendable () -> Void)?)
        {
            guard let last = places[queue]?.indices.last, places[queue]?[last].answers == true else {
                return (false, [], nil)
            }
            let isFirst = !hasQuestions
            places[queue]?[last].questions.append(question)
            return (true, takeWaiters(of: queue), isFirst ? onQuestion : nil)
        }

        /// Those who wait although there is something for them.
        mutating func takeWaiters(of queue: QueueID) -> [CheckedContinuation<Void, Never>] {
            (places[queue] ?? []).indices.compactMap { index in
                guard places[queue]?[index].hasNews == true else { return nil }
                defer { places[queue]?[index].waiter = nil }
                return places[queue]?[index].waiter
            }
        }
    }

    private let state = Mutex(State())

    // MARK: Those who hold

    /// - Parameter answers: whether the holder answers questions until ``close(_:)``.
    func open(_ claim: QueueClaim, answers: Bool) {
        state.withLock {
            $0.places[claim.queueID, default: []].append(Place(token: claim.token, answers: answers))
        }
    }

    /// Whoever waits goes on; later waits return at once, and questions are not answered any more.
    func close(_ claim: QueueClaim) {
        let place = state.withLock { state -> Place? in
            guard var places = state.places[claim.queueID],
                let index = places.firstIndex(where: { $0.token == claim.token })
            else { return nil }
            defer { state.places[claim.queueID] = places.isEmpty ? nil : places }
            return places.remove(at: index)
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
    func answer(_ question: Question, with followUp: LookFollowUp) async -> HandedIn.Outcome {
        await withCheckedContinuation { waiter in
            question.asker.resume(returning: HandedIn(followUp: followUp, waiter: waiter))
        }
    }

    // MARK: Those who write events

    /// Events of these queues were written that nobody looked at.
    func tell(_ queues: some Sequence<QueueID>) {
        let waiters = state.withLock { state in
            queues.flatMap { queue -> [CheckedContinuation<Void, Never>] in
                for index in state.places[queue]?.indices ?? 0..<0 {
                    state.places[queue]?[index].isTold = true
                }
                return state.takeWaiters(of: queue)
            }
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Those of the given queues that are handed in; each must be resumed.
    ///
    /// A holder that just looks at its queue answers when that is done: mostly within milliseconds, in which the asker
    /// would have to wait for the queue's row anyway.
    func ask(for queues: some Sequence<QueueID>) async -> [HandedIn] {
        let asked = state.withLock { state in queues.filter { state.places[$0]?.last?.answers == true } }
        guard !asked.isEmpty else { return [] }
        return await withTaskGroup(of: HandedIn?.self) { group in
            for queue in asked { group.addTask { await self.ask(for: queue) } }
            return await group.reduce(into: []) { held, one in if let one { held.append(one) } }
        }
    }

    private func ask(for queue: QueueID) async -> HandedIn? {
        await withCheckedContinuation { asker in
            let (isAsked, waiters, onQuestion) = state.withLock { $0.ask(Question(asker: asker), for: queue) }
            if !isAsked { asker.resume(returning: nil) }
            for waiter in waiters { waiter.resume() }
            onQuestion?()
        }
    }

    // MARK: The end of patience

    /// Tells who is to tick from now on until no question is open.
    func setOnQuestion(_ onQuestion: @escaping @Sendable () -> Void) {
        state.withLock { $0.onQuestion = onQuestion }
    }

    var hasQuestions: Bool { state.withLock { $0.hasQuestions } }

    /// Gives up on questions that were there at the last tick already.
    func tick() {
        let old = state.withLock { state -> [Question] in
            var old: [Question] = []
            for (queue, places) in state.places {
                for index in places.indices where !places[index].questions.isEmpty {
                    var questions = places[index].questions
                    old += questions.filter { $0.ticks > 0 }
                    questions.removeAll { $0.ticks > 0 }
                    for one in questions.indices { questions[one].ticks += 1 }
                    state.places[queue]?[index].questions = questions
                }
            }
            return old
        }
        for question in old { question.asker.resume(returning: nil) }
    }

    // MARK: Places

    private func change<Value: Sendable>(_ claim: QueueClaim, _ body: (inout Place) -> Value) -> Value? {
        state.withLock { state in
            guard let index = state.places[claim.queueID]?.firstIndex(where: { $0.token == claim.token }),
                var place = state.places[claim.queueID]?[index]
            else { return nil }
            defer { state.places[claim.queueID]?[index] = place }
            return body(&place)
        }
    }
}
