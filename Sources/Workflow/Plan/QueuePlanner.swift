/// What the engine knows of a queue when it looks at it.
package struct QueueSnapshot: Sendable {
    package struct Instance: Sendable {
        package var machine: InstanceMachine
        package var counts: InstanceCounts
        /// No new attempt before this time (milliseconds of the database's clock).
        package var notBefore: Int64
        /// The live attempt was told to stop already.
        package var isStopRequested: Bool
        /// Milliseconds since its first attempt, pauses not counted; nil before.
        package var elapsed: Int64?

        package init(
            machine: InstanceMachine, counts: InstanceCounts, notBefore: Int64, isStopRequested: Bool = false,
            elapsed: Int64? = nil
        ) {
            self.machine = machine
            self.counts = counts
            self.notBefore = notBefore
            self.isStopRequested = isStopRequested
            self.elapsed = elapsed
        }
    }

    package var status: QueueStatus
    package var plan: Plan
    package var instances: [InstanceID: Instance]
    /// Milliseconds of the database's clock.
    package var now: Int64
    /// Milliseconds since the queue began to run, pauses not counted; nil before.
    package var elapsed: Int64?

    package init(
        status: QueueStatus, plan: Plan, instances: [InstanceID: Instance], now: Int64, elapsed: Int64? = nil
    ) {
        self.status = status
        self.plan = plan
        self.instances = instances
        self.now = now
        self.elapsed = elapsed
    }
}

/// Decides what a queue needs next from what is known, never from what was done before (level-triggered).
package enum QueuePlanner {
    package enum Decision: Sendable, Hashable {
        /// Create the data topics, then set the queue `running`.
        case prepare
        case launch(InstanceID)
        /// Tell the machine of this instance `cancel` and its live attempt `stop`.
        case cancel(InstanceID, reason: String)
        case skip(InstanceID, reason: String)
        /// Send `stop` to the live attempt of an instance that stays wanted: another follows when the queue goes on.
        case suspend(InstanceID)
        case end(QueueStatus, reason: String?)
        /// Nothing to do before this time.
        case lookAgain(at: Int64)
    }

    package static func decide(_ queue: QueueSnapshot) -> [Decision] {
        switch queue.status {
        case .pending: return [.prepare]
        case .running: return decideRunning(queue)
        case .stopping: return decideStopping(queue)
        case .paused: return decidePaused(queue)
        case .finished, .failed, .stopped: return []
        }
    }

    private static func decideStopping(_ queue: QueueSnapshot) -> [Decision] {
        if queue.instances.values.allSatisfy(\.machine.state.isFinal) { return [.end(.stopped, reason: nil)] }
        return queue.plan.instances.compactMap { id in
            guard let instance = queue.instances[id], !instance.machine.state.isFinal,
                instance.machine.isWanted
            else { return nil }
            return .cancel(id, reason: "stop_requested")
        }
    }

    /// Nothing is launched, and what runs ends in good order.
    private static func decidePaused(_ queue: QueueSnapshot) -> [Decision] {
        queue.plan.instances.compactMap { id in
            guard let instance = queue.instances[id], instance.machine.state.hasLiveAttempt,
                !instance.isStopRequested
            else { return nil }
            return .suspend(id)
        }
    }

    private static func decideRunning(_ queue: QueueSnapshot) -> [Decision] {
        let overdue = decideTimeouts(queue)
        guard overdue.cancels.isEmpty else { return overdue.cancels }
        var decisions: [Decision] = []
        for step in queue.plan.steps {
            for symbol in queue.plan.symbols {
                if let decision = decide(InstanceID(step: step.id, instance: symbol), of: step, in: queue) {
                    decisions.append(decision)
                }
            }
        }
        if decisions.isEmpty, queue.instances.values.allSatisfy(\.machine.state.isFinal) {
            return [end(queue)]
        }
        if let next = overdue.next { decisions.append(.lookAgain(at: queue.now + next)) }
        return decisions
    }

    /// What took too long, and the milliseconds until the next limit is reached.
    private static func decideTimeouts(_ queue: QueueSnapshot) -> (cancels: [Decision], next: Int64?) {
        var cancels: [Decision] = []
        var next: Int64?
        func isOver(_ elapsed: Int64?, _ limitSeconds: Int64?) -> Bool {
            guard let elapsed, let limitSeconds else { return false }
            let left = limitSeconds * 1_000 - elapsed
            if left > 0 { next = min(next ?? .max, left) }
            return left <= 0
        }
        let queueIsOver = isOver(queue.elapsed, queue.plan.timeoutSeconds)
        for id in queue.plan.instances {
            guard let instance = queue.instances[id], let step = queue.plan.step(id.step),
                !instance.machine.state.isFinal, instance.machine.isWanted
            else { continue }
            if queueIsOver {
                cancels.append(.cancel(id, reason: "queue_timed_out"))
            } else if isOver(instance.elapsed, step.timeoutSeconds) {
                cancels.append(.cancel(id, reason: "timed_out"))
            }
        }
        return (cancels, next)
    }

    private static func decide(
        _ id: InstanceID, of step: PlannedStep, in queue: QueueSnapshot
    ) -> Decision? {
        guard let instance = queue.instances[id], !instance.machine.state.isFinal else { return nil }
        if let input = step.input, instance.machine.isWanted {
            let source = queue.instances[InstanceID(step: input, instance: id.instance)]?.machine.state
            // A producer that ended without an end marker leaves its reader waiting for ever.
            if let source, source.isFinal, source != .finished {
                return instance.machine.attempt == 0
                    ? .skip(id, reason: "upstream_failed") : .cancel(id, reason: "upstream_failed")
            }
        }
        guard instance.machine.state == .waiting else { return nil }
        switch readiness(of: step, in: queue) {
        case .blocked: return nil
        case .never(let reason): return .skip(id, reason: reason)
        case .ready: return instance.notBefore > queue.now ? .lookAgain(at: instance.notBefore) : .launch(id)
        }
    }

    private enum Readiness {
        case ready, blocked
        case never(reason: String)
    }

    /// A step starts when every step it comes after is finished; a consumer also waits for what its producer
    /// waits for, since both sides of a stream edge run together.
    private static func readiness(of step: PlannedStep, in queue: QueueSnapshot) -> Readiness {
        let ownAfter = step.after
        let inputAfter = step.input.flatMap { queue.plan.step($0)?.after } ?? []
        var isBlocked = false
        for earlier in ownAfter + inputAfter {
            for symbol in queue.plan.symbols {
                let state = queue.instances[InstanceID(step: earlier, instance: symbol)]?.machine.state
                guard let state, state != .finished else { continue }
                if state.isFinal { return .never(reason: "step \(earlier) did not finish") }
                isBlocked = true
            }
        }
        return isBlocked ? .blocked : .ready
    }

    /// Finished only when every instance is and the counts of both sides of each stream edge agree.
    private static func end(_ queue: QueueSnapshot) -> Decision {
        let unfinished = queue.plan.instances.filter { queue.instances[$0]?.machine.state != .finished }
        if let first = unfinished.first {
            let why = queue.instances[first]?.machine.reason ?? "unknown"
            let others = unfinished.count > 1 ? " and \(unfinished.count - 1) more" : ""
            return .end(.failed, reason: "\(first)\(others) did not finish: \(why)")
        }
        for step in queue.plan.steps {
            guard let input = step.input else { continue }
            for symbol in queue.plan.symbols {
                let produced = queue.instances[InstanceID(step: input, instance: symbol)]?.counts
                    .recordsWritten
                let read = queue.instances[InstanceID(step: step.id, instance: symbol)]?.counts.recordsRead
                if produced != read {
                    return .end(
                        .failed,
                        reason: "counts disagree for \(symbol): \(input) wrote \(produced ?? -1) records, "
                            + "\(step.id) read \(read ?? -1)")
                }
            }
        }
        return .end(.finished, reason: nil)
    }
}

/// How long to hold the next attempt back after failures.
package struct RetryBackoff: Sendable, Hashable {
    package var initialMilliseconds: Int64
    package var maxMilliseconds: Int64

    package init(initialMilliseconds: Int64 = 250, maxMilliseconds: Int64 = 30_000) {
        self.initialMilliseconds = initialMilliseconds
        self.maxMilliseconds = maxMilliseconds
    }

    /// Doubles with each failure; `jitter` from 0 to 1 takes up to half of it away.
    package func milliseconds(afterFailures failures: Int, jitter: Double) -> Int64 {
        guard failures > 0 else { return 0 }
        let full = min(maxMilliseconds, initialMilliseconds << min(Int64(failures - 1), 20))
        return full - Int64(Double(full) * min(max(jitter, 0), 1) / 2)
    }
}
