import ServiceRuntime
import Workflow

/// Carries out what looks ask for outside the database; tells what came of it as operations.
struct EffectRunner: Sendable {
    let parts: ReconcilerParts

    /// Carries them out side by side; one that fails is reported, and a later look asks for it again.
    func carryOut(_ look: LookResult) async -> [QueueOperation] {
        await withTaskGroup(of: [QueueOperation].self) { group in
            for effect in look.plan.effects {
                group.addTask { await carryOut(effect, of: look.queue) }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
    }

    func carryOut(_ effect: QueueEffect, of queue: QueueState) async -> [QueueOperation] {
        do {
            return try await carryOut(effect, queue)
        } catch {
            parts.observe(.lookFailed(queue.queueID, error: "\(error)"))
            return []
        }
    }

    private func carryOut(_ effect: QueueEffect, _ queue: QueueState) async throws -> [QueueOperation] {
        switch effect {
        case .createTopics:
            try await createTopics(of: queue)
            return [.begin]
        case .launch(let id): return try await launch(id, queue)
        case .observe(let id, let ifRunning, let ifMachineLost):
            return try await observe(id, queue, ifRunning, ifMachineLost)
        case .kill(let id, let then):
            // While it is ending there is nothing to tell; the next look asks again.
            guard try await kill(id, queue) else { return [] }
            guard let then else { return [try await ended(id, how: "killed", queue)] }
            return then
        case .deleteTopics:
            try await deleteTopics(of: queue)
            return [.cleaned]
        }
    }

    // MARK: Jobs

    private func launch(_ id: AttemptID, _ queue: QueueState) async throws -> [QueueOperation] {
        guard let attempt = queue.attempts[id], let target = queue.plan.step(id.id.step)?.target,
            let variables = parts.environment.environment(of: attempt, in: queue)
        else { return fail(id, "the plan does not have it", isRetriable: false, queue) }
        let job = Job(
            queueID: queue.queueID, id: id.id, attempt: id.number, target: target, environment: variables)
        do throws(LaunchError) {
            parts.crashPoints.reach(.beforeLaunch)
            parts.observe(.launchBegun(queue.queueID))
            let handle = try await parts.launcher.launch(job)
            parts.crashPoints.reach(.afterLaunch)
            parts.observe(.attemptLaunched(queue.queueID, id.id, attempt: id.number))
            return [.launched(id, handle)]
        } catch {
            if error.kind == .unavailable, parts.launcher.isLaunchRepeatable(for: target) {
                // An outage uses up no attempts: this one waits, and a later look launches it again.
                parts.observe(
                    .launchFailed(queue.queueID, id.id, attempt: id.number, error: error.description))
                return [.extendLease(id), .jobWaits(id, why: "it cannot be launched now: \(error.detail)")]
            }
            return fail(id, error.description, isRetriable: error.isRetriable, queue)
        }
    }

    private func fail(
        _ id: AttemptID, _ error: String, isRetriable: Bool, _ queue: QueueState
    ) -> [QueueOperation] {
        parts.observe(.launchFailed(queue.queueID, id.id, attempt: id.number, error: error))
        let isWorthIt = isRetriable && queue.plan.step(id.id.step)?.retry.isFinal(.launchFailed) != true
        // It may have been started all the same, by us or by a replica that stood still: it must not begin to
        // write after its successor.
        return [
            .input(
                .failed(attempt: id.number, isRetriable: isWorthIt, reason: error), id.id,
                stop: "launch_failed")
        ]
    }

    private func observe(
        _ id: AttemptID, _ queue: QueueState, _ ifRunning: [QueueOperation],
        _ ifMachineLost: [QueueOperation]
    ) async throws -> [QueueOperation] {
        guard let attempt = queue.attempts[id], let handle = attempt.handle else { return [] }
        switch try await state(of: handle) {
        // Nothing is known, and so nothing decided: the launcher itself reports that it sees nothing.
        case nil: return []
        case .queued: return [.extendLease(id)]
        case .waiting(let why): return [.extendLease(id), .jobWaits(id, why: why)]
        case .stuck(let why, let isFinal):
            guard attempt.endedAt == nil else { return [] }
            let isWorthIt = !isFinal && queue.plan.step(id.id.step)?.retry.isFinal(.launchFailed) != true
            return [
                .input(
                    .failed(attempt: id.number, isRetriable: isWorthIt, reason: why), id.id, stop: "stuck")
            ]
        case .running, .outOfSight: return ifRunning
        case .machineLost: return ifMachineLost
        case .ended(let how):
            // Who has said its last word needs no reading up to here.
            if attempt.endedAt != nil { return [.jobGone(id)] }
            return [try await ended(id, how: how, queue)]
        }
    }

    /// nil when the launcher cannot see at this moment.
    private func state(of handle: JobHandle) async throws(LaunchError) -> JobState? {
        do throws(LaunchError) {
            return try await parts.launcher.state(of: handle)
        } catch {
            guard error.kind == .unavailable else { throw error }
            return nil
        }
    }

    /// Everything a job said before it ended lies before the end of its event partition now.
    private func ended(_ id: AttemptID, how: String?, _ queue: QueueState) async throws -> QueueOperation {
        let partition = parts.broker.eventPartition(of: queue.queueID)
        let end = try await parts.broker.endOffset(parts.broker.eventsTopic, partition)
        return .jobEnded(id, eventsEnd: end, how: how)
    }

    /// Also ends a job whose launch a crash kept from being recorded.
    ///
    /// - Returns: false while it is still ending.
    private func kill(_ id: AttemptID, _ queue: QueueState) async throws -> Bool {
        var handle = queue.attempts[id]?.handle
        if handle == nil {
            handle = try await parts.launcher.find(id.id, attempt: id.number, of: queue.queueID)
        }
        guard let handle else { return true }
        do throws(LaunchError) {
            try await parts.launcher.kill(handle)
            return true
        } catch {
            guard error.kind == .underWay else { throw error }
            return false
        }
    }

    // MARK: Topics

    /// Creating a topic that exists is fine, so a crash before the queue runs costs nothing.
    private func createTopics(of queue: QueueState) async throws {
        if queue.plan.transport == .shared {
            for topic in parts.policy.shared.specifications(for: queue.plan) {
                try await parts.broker.createTopic(topic.name, Int32(topic.partitions), topic.configuration)
            }
            return
        }
        for step in queue.plan.steps where step.target.isProducer {
            let topic = queue.plan.dataTopic(of: step.id, queue.queueID, run: queue.run)
            try await parts.broker.createTopic(
                topic, Int32(queue.plan.partitionCount(of: step)),
                ["retention.ms": "-1", "cleanup.policy": "delete"])
            try await parts.broker.createTopic(
                DerivedName.deadLetterTopic(dataTopic: topic), 1,
                ["retention.ms": "2592000000", "cleanup.policy": "delete"])
        }
    }

    /// Those of earlier runs too: a retry may have come before they were deleted.
    private func deleteTopics(of queue: QueueState) async throws {
        try await parts.collectDeadLetters(queue.queueID, queue.plan, queue.run)
        let topics = queue.plan.topics(queue.queueID, runs: queue.run)
        if !topics.isEmpty { try await parts.broker.deleteTopics(topics) }
    }
}
