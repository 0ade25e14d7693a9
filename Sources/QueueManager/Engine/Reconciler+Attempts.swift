import ServiceRuntime
import Workflow

extension Reconciler {
    /// Compares the live attempts with the jobs that really run.
    ///
    /// - Returns: true when something changed and the queue must be read again.
    func watchAttempts(_ look: QueueLook, _ claim: QueueClaim) async throws -> Bool {
        var hasChanged = false
        for attempt in look.liveAttempts {
            if try await watch(attempt, look, claim) { hasChanged = true }
        }
        return hasChanged
    }

    private func watch(_ attempt: AttemptRow, _ look: QueueLook, _ claim: QueueClaim) async throws -> Bool {
        if look.queue.isTerminated { return try await terminate(attempt, claim) }
        guard let handle = attempt.handle else { return try await launch(attempt, look, claim) }
        if let goneOffset = attempt.goneOffset {
            // Its final event may still lie unread in the topic; only after that is it lost.
            guard look.appliedOffset >= goneOffset else { return false }
            return try await settle(attempt, claim)
        }
        switch try await launcher.state(of: handle) {
        case .ended(let how):
            let offset = try await broker.endOffset(
                broker.eventsTopic, broker.eventPartition(of: claim.queueID))
            try await store.saveGone(
                offset: offset, how: how, of: attempt.id, attempt: attempt.attempt, claim: claim)
            return look.appliedOffset >= offset
        case .queued, .running, .outOfSight:
            if let age = attempt.stopAge, age > policy.stopGrace.milliseconds {
                try await launcher.kill(handle)
                return false
            }
            guard attempt.isLeaseOver else { return false }
            // Fenced by its number from here on; the process itself is ended so that it frees its memory.
            let isLost = try await lose(attempt, claim, reason: "its lease ran out")
            try await launcher.kill(handle)
            return isLost
        }
    }

    /// A job that is gone and left no final event, read to the end.
    private func settle(_ attempt: AttemptRow, _ claim: QueueClaim) async throws -> Bool {
        let how = attempt.howEnded.map { " (\($0))" } ?? ""
        switch attempt.howEnded {
        case "exit \(ExitCode.badSetting.rawValue)":
            // It will be as wrong the next time; its log names the setting.
            return try await failLaunch(
                attempt, claim, "its settings were refused\(how): see its log", isRetriable: false)
        case "exit \(ExitCode.superseded.rawValue)":
            return try await lose(attempt, claim, reason: "it was superseded", countsAsFailure: false)
        default:
            // Who was told to stop and had to be ended did not fail.
            return try await lose(
                attempt, claim, reason: "its process ended\(how) without a final event",
                countsAsFailure: attempt.stopAge == nil)
        }
    }

    /// Ends an attempt's job by force, also one whose launch a crash kept from being recorded.
    func kill(_ attempt: AttemptRow, _ claim: QueueClaim) async throws {
        var handle = attempt.handle
        if handle == nil {
            handle = try await launcher.find(attempt.id, attempt: attempt.attempt, of: claim.queueID)
        }
        if let handle { try await launcher.kill(handle) }
    }

    /// Ends an attempt by force, without the broker: what it would still have said does not matter.
    private func terminate(_ attempt: AttemptRow, _ claim: QueueClaim) async throws -> Bool {
        try await kill(attempt, claim)
        return try await lose(attempt, claim, reason: "it was terminated", countsAsFailure: false)
    }

    private func launch(_ attempt: AttemptRow, _ look: QueueLook, _ claim: QueueClaim) async throws -> Bool {
        guard let variables = environment.environment(of: attempt, in: look),
            let target = look.queue.plan.step(attempt.id.step)?.target
        else { return try await failLaunch(attempt, claim, "the plan does not have it", isRetriable: false) }
        let job = Job(
            queueID: claim.queueID, id: attempt.id, attempt: attempt.attempt, target: target,
            environment: variables)
        do {
            crashPoints.reach(.beforeLaunch)
            let handle = try await launcher.launch(job)
            crashPoints.reach(.afterLaunch)
            try await store.saveHandle(handle, of: attempt.id, attempt: attempt.attempt, claim: claim)
            observe(.attemptLaunched(claim.queueID, attempt.id, attempt: attempt.attempt))
            return false
        } catch let error as LaunchError {
            return try await failLaunch(attempt, claim, error.description, isRetriable: error.isRetriable)
        }
    }

    private func failLaunch(
        _ attempt: AttemptRow, _ claim: QueueClaim, _ error: String, isRetriable: Bool
    ) async throws -> Bool {
        observe(.launchFailed(claim.queueID, attempt.id, attempt: attempt.attempt, error: error))
        try await store.apply(
            .failed(attempt: attempt.attempt, isRetriable: isRetriable, reason: error), to: attempt.id,
            stopReason: nil, backoff: policy.backoff, claim: claim)
        return true
    }

    private func lose(
        _ attempt: AttemptRow, _ claim: QueueClaim, reason: String, countsAsFailure: Bool = true
    ) async throws -> Bool {
        observe(.attemptLost(claim.queueID, attempt.id, attempt: attempt.attempt, reason: reason))
        try await store.apply(
            .lost(attempt: attempt.attempt, countsAsFailure: countsAsFailure, reason: reason), to: attempt.id,
            stopReason: "attempt_lost", backoff: policy.backoff, claim: claim)
        commandWakeups.signal()
        return true
    }
}
