import ServiceRuntime
import Workflow

/// Brings a queue a step nearer to what its plan says: pure, and the same for every replica.
package struct LookPlanner: Sendable {
    package var context: OperationContext
    package var facts: LookFacts
    /// The end of the queue's partition of queue-control; nil while the broker does not answer.
    package var control: ControlPosition?
    package var jobs: any JobLauncher
    /// What was carried out since the queue was claimed, well or not: once is enough.
    package var touched = TouchedEffects()

    /// Operations of a look repeat until nothing changes; more rounds than this are a defect.
    private static let roundsMax = 32

    package init(
        context: OperationContext, facts: LookFacts, control: ControlPosition?, jobs: any JobLauncher,
        touched: TouchedEffects = TouchedEffects()
    ) {
        self.context = context
        self.facts = facts
        self.control = control
        self.jobs = jobs
        self.touched = touched
    }

    package func plan(_ queue: inout QueueState) -> LookPlan {
        var decided: [QueuePlanner.Decision]?
        for _ in 0..<Self.roundsMax {
            decided = advance(&queue)
            if decided != nil { break }
        }
        var plan = LookPlan()
        for attempt in queue.attempts.values.sorted(by: { $0.id < $1.id }) where !attempt.isGone {
            watch(attempt, in: queue, &plan)
        }
        if queue.status.isFinal {
            cleanUp(queue, &plan)
        } else {
            planAhead(queue, decided ?? QueuePlanner.decide(queue.snapshot(now: facts.now)), &plan)
        }
        // A place stands empty until its job is asked for: that comes before questions about others.
        plan.effects = plan.effects.filter(\.isLaunch) + plan.effects.filter { !$0.isLaunch }
        return plan
    }

    // MARK: Changes of the state

    /// - Returns: what the planner wants, when nothing changed any more.
    private func advance(_ queue: inout QueueState) -> [QueuePlanner.Decision]? {
        var hasChanged = false
        for attempt in queue.attempts.values.sorted(by: { $0.id < $1.id }) {
            for operation in operations(for: attempt, in: queue) where queue.apply(operation, context) {
                hasChanged = true
            }
        }
        let decisions = queue.status.isFinal ? [] : QueuePlanner.decide(queue.snapshot(now: facts.now))
        for operation in operations(for: decisions, in: queue) where queue.apply(operation, context) {
            hasChanged = true
        }
        return hasChanged ? nil : decisions
    }

    private func operations(
        for decisions: [QueuePlanner.Decision], in queue: QueueState
    ) -> [QueueOperation] {
        if queue.status.isFinal {
            let hasTopics = queue.plan.steps.contains { $0.target.isProducer }
            return hasTopics || queue.attempts.values.contains { !$0.isGone } ? [] : [.cleaned]
        }
        // Those that this look created wait for their launch too: it repeats.
        let unlaunched = queue.attempts.values.count {
            $0.handle == nil && $0.endedAt == nil && !isShared($0, in: queue)
        }
        var launches = context.policy.launchesMax - unlaunched
        let admission = admit(decisions, in: queue)
        var begun: Set<InstanceID> = []
        return Self.sinksFirst(decisions, queue.plan).compactMap { decision in
            switch decision {
            case .prepare:
                // Without topics there is nothing to do outside.
                return queue.plan.steps.contains { $0.target.isProducer } ? nil : .begin
            case .launch(let id):
                guard let control, launches > 0, mayFollow(id, in: queue),
                    admission?.admitted.contains(id) ?? true, hasSink(id, in: queue, begun)
                else { return nil }
                if queue.plan.isShared(id.step) { begun.insert(id) } else { launches -= 1 }
                return .createAttempt(id, control)
            case .cancel(let id, let reason): return .input(.cancel(reason: reason), id, stop: reason)
            case .skip(let id, let reason): return .input(.skip(reason: reason), id, stop: nil)
            case .suspend(let id): return .suspend(id)
            case .loseData(let id, let reason): return .loseData(id, reason: reason)
            case .runAgain(let reason): return .runAgain(reason: reason)
            case .end(let status, let reason): return .end(status, reason: reason)
            case .lookAgain: return nil
            }
        }
    }

    /// What is certain about an attempt without asking anybody.
    private func operations(for attempt: AttemptState, in queue: QueueState) -> [QueueOperation] {
        if attempt.endedAt != nil {
            // Nobody could tell whether such a job is gone; its worker was told.
            return isWatched(attempt, in: queue) || attempt.isGone || isStopUnsent(attempt)
                ? [] : [.jobGone(attempt.id)]
        }
        if isShared(attempt, in: queue) { return sharedOperations(for: attempt, in: queue) }
        if let goneOffset = attempt.goneOffset {
            // Its final event may still lie unread in the topic; only after that is it lost.
            return facts.appliedOffset >= goneOffset ? [settle(attempt)] : []
        }
        if !isWatched(attempt, in: queue) {
            if queue.isTerminated { return [lose(attempt, "it was terminated", countsAsFailure: false)] }
            if let age = stopAge(attempt), age > context.policy.stopGrace.milliseconds {
                return [lose(attempt, "it did not end when told to stop", countsAsFailure: false)]
            }
        }
        if attempt.handle == nil, !isLaunchRepeatable(attempt, in: queue),
            attempt.launchToken != context.token || attempt.stopRequestedAt != nil
        {
            return [lose(attempt, "nobody knows whether it was offered", countsAsFailure: false)]
        }
        guard attempt.handle != nil, isLeaseOver(attempt), !isAskedAbout(attempt, in: queue) else {
            return []
        }
        return [lose(attempt, "its lease ran out")]
    }

    /// A job that is gone and left no final event, read to the end.
    private func settle(_ attempt: AttemptState) -> QueueOperation {
        let how = attempt.howEnded.map { " (\($0))" } ?? ""
        switch attempt.howEnded {
        case "exit \(ExitCode.badSetting.rawValue)":
            // It will be as wrong the next time; its log names the setting.
            return .input(
                .failed(
                    attempt: attempt.id.number, isRetriable: false,
                    reason: "its settings were refused\(how): see its log"), attempt.id.id, stop: nil)
        case "exit \(ExitCode.superseded.rawValue)":
            return lose(attempt, "it was superseded", countsAsFailure: false)
        default: break
        }
        let verdict = attempt.howEnded.map { JobEnding(text: $0).verdict } ?? .failed
        let reason = "its process ended\(how) without a final event"
        if verdict == .final {
            return .input(
                .failed(attempt: attempt.id.number, isRetriable: false, reason: reason), attempt.id.id,
                stop: "attempt_lost")
        }
        // Who was told to stop and had to be ended did not fail.
        return lose(
            attempt, reason, countsAsFailure: verdict == .failed && attempt.stopRequestedAt == nil)
    }

    private func lose(
        _ attempt: AttemptState, _ reason: String, countsAsFailure: Bool = true
    ) -> QueueOperation {
        .input(
            .lost(attempt: attempt.id.number, countsAsFailure: countsAsFailure, reason: reason),
            attempt.id.id, stop: "attempt_lost")
    }

    // MARK: Effects

    private func watch(_ attempt: AttemptState, in queue: QueueState, _ plan: inout LookPlan) {
        // Nobody can be asked about it: its events come or do not come.
        guard !isShared(attempt, in: queue) else { return }
        let id = attempt.id
        let target = queue.plan.step(id.id.step)?.target
        let interval = target.flatMap { jobs.pollInterval(for: $0) }?.milliseconds
        if let interval { plan.lookAgain(in: interval) }
        if let endedAt = attempt.endedAt {
            watchEnded(attempt, age: facts.now - endedAt, queue, &plan)
        } else if attempt.goneOffset != nil {
            plan.lookAgain(in: context.policy.livePoll.milliseconds)
        } else if queue.isTerminated || (attempt.handle == nil && attempt.stopRequestedAt != nil) {
            // Its launch may have been done all the same; it is not worth waiting for.
            let why = queue.isTerminated ? "it was terminated" : "it was stopped before its launch"
            kill(id, then: [lose(attempt, why, countsAsFailure: false), .jobGone(id)], &plan)
        } else if attempt.handle == nil {
            if touched.attempts.contains(id) {
                plan.lookAgain(in: 1_000)
            } else {
                plan.effects.append(.launch(id))
            }
        } else if let age = stopAge(attempt), age > context.policy.stopGrace.milliseconds {
            kill(id, then: nil, &plan)
        } else if isLeaseOver(attempt) {
            let isInDoubt = !isLeaseOver(attempt, for: lossGrace(of: attempt, in: queue))
            observe(
                id, ifRunning: isInDoubt ? [] : [lose(attempt, "its lease ran out")],
                ifMachineLost: [
                    lose(
                        attempt, "its machine does not answer, and its lease ran out", countsAsFailure: false)
                ], &plan)
            plan.lookAgain(in: 1_000)
        } else {
            if interval != nil { observe(id, ifRunning: [], &plan) }
            plan.lookAgain(in: waitForLease(attempt))
            if let age = stopAge(attempt) {
                plan.lookAgain(in: context.policy.stopGrace.milliseconds - age + 1)
            }
        }
    }

    /// An attempt has said its last word, or was given up; its job may take a moment to leave.
    private func watchEnded(
        _ attempt: AttemptState, age: Int64, _ queue: QueueState, _ plan: inout LookPlan
    ) {
        guard isWatched(attempt, in: queue) else { return }
        let isOverdue = age > context.policy.stopGrace.milliseconds
        if isOverdue || queue.isTerminated || attempt.handle == nil {
            kill(attempt.id, then: [.jobGone(attempt.id)], &plan)
        } else {
            observe(attempt.id, ifRunning: [], &plan)
        }
    }

    private func observe(
        _ id: AttemptID, ifRunning operations: [QueueOperation], ifMachineLost: [QueueOperation] = [],
        _ plan: inout LookPlan
    ) {
        guard !touched.attempts.contains(id) else { return }
        plan.effects.append(.observe(id, ifRunning: operations, ifMachineLost: ifMachineLost))
    }

    private func kill(_ id: AttemptID, then operations: [QueueOperation]?, _ plan: inout LookPlan) {
        if touched.attempts.contains(id) {
            plan.lookAgain(in: 1_000)
        } else {
            plan.effects.append(.kill(id, then: operations))
        }
    }

    private func cleanUp(_ queue: QueueState, _ plan: inout LookPlan) {
        guard !queue.isCleaned else {
            plan.lookAgain = nil
            return
        }
        guard queue.attempts.values.allSatisfy(\.isGone) else { return }
        let age = facts.now - (queue.finishedAt ?? facts.now)
        let keep = context.policy.topicKeep.milliseconds
        if age < keep {
            plan.lookAgain(in: keep - age)
        } else {
            askForTopics(.deleteTopics, &plan)
        }
    }

    /// What the planner wants but could not be decided here, and when time alone brings work.
    private func planAhead(
        _ queue: QueueState, _ decisions: [QueuePlanner.Decision], _ plan: inout LookPlan
    ) {
        let admission = admit(decisions, in: queue)
        plan.waits = admission?.waits ?? []
        for decision in decisions {
            switch decision {
            case .prepare: askForTopics(.createTopics, &plan)
            case .launch(let id) where admission?.admitted.contains(id) == false:
                plan.lookAgain(in: admission?.lookAgain ?? 1)
            // The broker is away, a stop is not sent yet, who stores has no attempt yet, or more are to be
            // launched than one look may.
            case .launch(let id):
                let mayBegin = control != nil && mayFollow(id, in: queue) && hasSink(id, in: queue, [])
                plan.lookAgain(in: mayBegin ? 1 : 1_000)
            case .lookAgain(let at): plan.lookAgain(in: at - facts.now)
            case .cancel, .skip, .suspend, .loseData, .runAgain, .end: plan.lookAgain(in: 1)
            }
        }
    }

    private func askForTopics(_ effect: QueueEffect, _ plan: inout LookPlan) {
        if touched.areTopicsTouched { plan.lookAgain(in: 1_000) } else { plan.effects.append(effect) }
    }

    // MARK: Attempts

    /// What has all it needs of what is to be launched; nil when nothing limits the queue.
    private func admit(_ decisions: [QueuePlanner.Decision], in queue: QueueState) -> ResourceView.Admission?
    {
        let launches = decisions.compactMap { if case .launch(let id) = $0 { id } else { nil } }
        return facts.resources?.admit(
            launches, of: queue, now: facts.now, instancesMax: context.policy.launchesMax
        ) { mayFollow($0, in: queue) }
    }

    private func isWatched(_ attempt: AttemptState, in queue: QueueState) -> Bool {
        guard !isShared(attempt, in: queue), let target = queue.plan.step(attempt.id.id.step)?.target else {
            return false
        }
        return jobs.pollInterval(for: target) != nil
    }

    private func isLaunchRepeatable(_ attempt: AttemptState, in queue: QueueState) -> Bool {
        guard let target = queue.plan.step(attempt.id.id.step)?.target else { return true }
        return jobs.isLaunchRepeatable(for: target)
    }

    /// Whether the launcher must be asked before the attempt is lost: a job that nobody has taken yet has no lease
    /// to lose, and one whose machine was lost has not failed.
    private func isAskedAbout(_ attempt: AttemptState, in queue: QueueState) -> Bool {
        mayBeQueued(attempt, in: queue) || lossGrace(of: attempt, in: queue) > 0
    }

    /// Milliseconds.
    private func lossGrace(of attempt: AttemptState, in queue: QueueState) -> Int64 {
        queue.plan.step(attempt.id.id.step).map { jobs.lossGrace(for: $0.target).milliseconds } ?? 0
    }

    private func mayBeQueued(_ attempt: AttemptState, in queue: QueueState) -> Bool {
        guard attempt.workerID == nil, let target = queue.plan.step(attempt.id.id.step)?.target else {
            return false
        }
        return jobs.mayWait(for: target)
    }

    /// An attempt that was given up must be able to read so before the next one begins to write.
    private func mayFollow(_ id: InstanceID, in queue: QueueState) -> Bool {
        !queue.attempts.values.contains { $0.id.id == id && !$0.isGone && isStopUnsent($0) }
    }

    private func isStopUnsent(_ attempt: AttemptState) -> Bool {
        attempt.stopRequestedAt != nil && !attempt.isStopSent
    }

    private func stopAge(_ attempt: AttemptState) -> Int64? {
        attempt.stopRequestedAt.map { facts.now - $0 }
    }

    private func leaseEnd(_ attempt: AttemptState) -> Int64 {
        attempt.leaseUntil + max(0, facts.blindMilliseconds - attempt.leaseBlind)
    }

    /// A lease counts only up to the moment the event reader last stood at the partition's end.
    ///
    /// - Parameter time: milliseconds for which it must have been over.
    private func isLeaseOver(_ attempt: AttemptState, for time: Int64 = 0) -> Bool {
        facts.caughtUpAt.map { leaseEnd(attempt) + time < $0 } ?? false
    }

    private func waitForLease(_ attempt: AttemptState) -> Int64 {
        // The reader says about once a second that it stands at the end.
        max(leaseEnd(attempt) - facts.now, 0) + 1_000
    }
}
