import ServiceLifecycle
import Workflow

/// Copies dead letters from their topics to PostgreSQL, where people find them when the topics are gone.
///
/// Level-triggered: a queue whose workers counted other dead letters than were there at the last reading is
/// read again. Workers count a letter after the broker has it, so the topic then holds it. Repeats, by a
/// worker or by a second replica that reads the same topic, change nothing.
package struct DeadLetterCollector: Service {
    let store: DeadLetterStore
    let topics: DeadLetterTopics
    let observe: UpkeepObserver
    var shared = SharedTopics()

    /// Queues looked after in one round, and side by side.
    static let queuesMax = 32
    static let parallelMax = 4
    static let interval = Duration.seconds(2)

    package func run() async throws {
        await upkeepLoop("dead letters", every: Self.interval, observe: observe) { try await round() }
    }

    /// - Returns: how many letters were new.
    @discardableResult
    func round() async throws -> Int {
        var waiting = try await store.waiting(limit: Self.queuesMax)[...]
        return await withTaskGroup(of: Int.self) { group in
            var count = 0
            for _ in 0..<Self.parallelMax {
                guard let queue = waiting.popFirst() else { break }
                group.addTask { await collect(queue) }
            }
            for await copied in group {
                count += copied
                if let queue = waiting.popFirst() { group.addTask { await collect(queue) } }
            }
            return count
        }
    }

    /// One queue's trouble must not hold up the others.
    private func collect(_ queue: DeadLetterStore.Waiting) async -> Int {
        do {
            let copied = try await drain(queue.queueID, queue.plan, runs: queue.runs)
            let sources = DeadLetterSource.all(
                of: queue.queueID, queue.plan, runs: queue.runs, shared)
            try await store.setTold(queue.told, topics: sources.map(\.position), of: queue.queueID)
            return copied
        } catch {
            if !Task.isCancelled {
                observe(.jobFailed(job: "dead letters", error: "\(queue.queueID): \(error)"))
            }
            return 0
        }
    }

    /// Reads the dead-letter topics of a queue's runs, from the first on, to their ends as they are now.
    ///
    /// Must have returned before the topics of a queue are deleted, and nothing may write to them any more.
    /// - Returns: how many letters were new.
    @discardableResult
    package func drain(_ queueID: QueueID, _ plan: Plan, runs: Int = 1) async throws -> Int {
        var count = 0
        for source in DeadLetterSource.all(of: queueID, plan, runs: runs, shared) {
            count += try await copy(source, queueID, plan)
        }
        return count
    }

    private func copy(_ source: DeadLetterSource, _ queueID: QueueID, _ plan: Plan) async throws -> Int {
        let topic = source.topic
        guard let bounds = try await topics.bounds(topic), !bounds.isEmpty else { return 0 }
        var count = 0
        var stored = try await store.position(of: source.position)
        // Outside of what is there: the topic was made anew, or its oldest records went.
        var next = stored > bounds.upperBound ? bounds.lowerBound : max(stored, bounds.lowerBound)
        while next < bounds.upperBound {
            let page = try await topics.read(topic, next..<bounds.upperBound)
            let letters = page.records.compactMap { ReadLetter($0, of: queueID, plan) }
            let new = try await store.add(
                letters, of: queueID, topic: source.position, from: stored, to: page.nextOffset)
            if let new {
                count += new
                stored = page.nextOffset
                next = page.nextOffset
                observe(.lettersCopied(count: new, foreign: page.records.count - letters.count))
            } else {
                // Another replica reads it too: go on where it stands.
                stored = try await store.position(of: source.position)
                next = max(next, stored)
            }
        }
        return count
    }
}
