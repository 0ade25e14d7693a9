import Workflow

/// A change of one queue that a reconciler or a person asks for.
///
/// Applied to the state as it is when the change is written, which may be newer than what it was decided on:
/// an operation that no longer fits changes nothing.
package enum QueueOperation: Sendable {
    case request(QueueRequest, actor: String)
    /// A final queue runs again; nil: what did not finish.
    case retry(from: StepID?, actor: String)
    /// The topics exist: the queue runs.
    case begin
    case createAttempt(InstanceID, ControlPosition)
    case launched(AttemptID, JobHandle)
    /// The job ended by itself; `eventsEnd` is the end of the queue's event partition after that.
    case jobEnded(AttemptID, eventsEnd: Int64, how: String?)
    /// The job is no more, and nobody needs to know how it ended.
    case jobGone(AttemptID)
    /// The job waits for a free worker: its lease begins anew.
    case extendLease(AttemptID)
    /// Its job is there and does not run yet; why, for people.
    case jobWaits(AttemptID, why: String)
    /// `stop` is sent to the live attempt, if there is one.
    case input(InstanceMachine.Input, InstanceID, stop: String?)
    /// Tells the live attempt of an instance to end in good order; the instance stays wanted.
    case suspend(InstanceID)
    /// The broker lost what the instance reads.
    case loseData(InstanceID, reason: String)
    /// Records were lost: what did not finish runs again.
    case runAgain(reason: String)
    /// The stop of the attempt was sent.
    case stopSent(AttemptID)
    case end(QueueStatus, reason: String?)
    case cleaned
}

/// What operations need to know beside the queue.
package struct OperationContext: Sendable {
    /// Milliseconds of the database's clock.
    package var now: Int64
    package var policy: EnginePolicy
    /// How long the reader of the queue's event partition was blind, see ``LookFacts/blindMilliseconds``.
    package var blindMilliseconds: Int64 = 0
    /// From 0 to 1: spreads the retries of attempts that failed together.
    package var jitter: Double
    /// Names the look that the operations belong to.
    package var token = ""

    package init(
        now: Int64, policy: EnginePolicy, blindMilliseconds: Int64 = 0, jitter: Double, token: String = ""
    ) {
        self.now = now
        self.policy = policy
        self.blindMilliseconds = blindMilliseconds
        self.jitter = jitter
        self.token = token
    }
}

extension QueueState {
    /// - Returns: whether anything changed.
    @discardableResult
    package mutating func apply(_ operation: QueueOperation, _ context: OperationContext) -> Bool {
        switch operation {
        case .request(let request, let actor): self.request(request, actor: actor, context)
        case .retry(let step, let actor): retry(from: step, actor: actor)
        case .begin: setStatus(.running, reason: nil, context)
        case .createAttempt(let id, let control): createAttempt(of: id, control, context)
        case .launched(let id, let handle): launched(id, handle)
        case .jobEnded(let id, let eventsEnd, let how): jobEnded(id, eventsEnd: eventsEnd, how: how)
        case .jobGone(let id): jobGone(id)
        case .extendLease(let id): extendLease(id, context)
        case .jobWaits(let id, let why): jobWaits(id, why, context)
        case .input(let input, let id, let stop):
            apply(input, to: id, actor: Self.engine, stop: stop, context)
        case .suspend(let id): suspend(id, context)
        case .loseData(let id, let reason): loseData(of: id, reason, context)
        case .runAgain(let reason): runAgain(reason)
        case .stopSent(let id): stopSent(id)
        case .end(let status, let reason): setStatus(status, reason: reason, context)
        case .cleaned: setCleaned()
        }
    }

    /// Adds a line to the history.
    mutating func note(
        _ kind: String, actor: String, id: InstanceID? = nil, attempt: Int? = nil,
        detail: [String: JSONValue] = [:]
    ) {
        eventNumber += 1
        changes.isQueueChanged = true
        changes.history.append(
            HistoryEntry(
                number: eventNumber, kind: kind, actor: actor, id: id, attempt: attempt, detail: detail))
    }

    static let engine = "engine"

    // MARK: The queue

    private mutating func setStatus(
        _ next: QueueStatus, reason why: String?, _ context: OperationContext
    ) -> Bool {
        guard status.mayBecome(next) else { return false }
        status = next
        reason = why
        if next == .running { startedAt = startedAt ?? context.now }
        if next.isFinal {
            finishedAt = context.now
            changes.dropsCommands = true
        }
        note("queue_\(next.rawValue)", actor: Self.engine, detail: why.map { ["reason": .string($0)] } ?? [:])
        return true
    }

    private mutating func request(
        _ request: QueueRequest, actor: String, _ context: OperationContext
    ) -> Bool {
        let next = request.target(from: status, hasStarted: startedAt != nil)
        guard status == next || status.mayBecome(next) else { return false }
        if let pausedAt { pausedMilliseconds += max(0, context.now - pausedAt) }
        status = next
        pausedAt = next == .paused ? context.now : nil
        isTerminated = request == .terminate
        note("queue_\(request == .terminate ? "terminating" : next.rawValue)", actor: actor)
        changes.needsLook = true
        return true
    }

    private mutating func setCleaned() -> Bool {
        guard status.isFinal, !isCleaned else { return false }
        isCleaned = true
        changes.isQueueChanged = true
        return true
    }

    // MARK: Attempts

    private mutating func createAttempt(
        of id: InstanceID, _ control: ControlPosition, _ context: OperationContext
    ) -> Bool {
        guard status == .running, var instance = instances[id],
            instance.machine.apply(.launch) == .changed
        else { return false }
        if instance.startedAt == nil {
            instance.startedAt = context.now
            instance.pausedBefore = pausedMilliseconds
        }
        // That was another attempt's wait.
        instance.extra?[DataLoss.waitKey] = nil
        instances[id] = instance
        let attempt = AttemptID(id, instance.machine.attempt)
        attempts[attempt] = AttemptState(
            id: attempt, launchToken: context.token, control: control,
            leaseUntil: context.now + context.policy.startLimit(of: id.step, in: plan),
            leaseBlind: context.blindMilliseconds)
        changes.instances.insert(id)
        changes.attempts.insert(attempt)
        note("attempt_created", actor: Self.engine, id: id, attempt: attempt.number)
        return true
    }

    private mutating func launched(_ id: AttemptID, _ handle: JobHandle) -> Bool {
        // It may be told twice, when the answer of the transaction that wrote it got lost.
        guard let attempt = attempts[id], attempt.handle != handle else { return false }
        change(id) { $0.handle = handle }
        note(
            "attempt_launched", actor: Self.engine, id: id.id, attempt: id.number,
            detail: handle.fields.mapValues { .string($0) })
        return true
    }

    private mutating func jobEnded(_ id: AttemptID, eventsEnd: Int64, how: String?) -> Bool {
        guard let attempt = attempts[id], attempt.goneOffset == nil else { return false }
        change(id) {
            $0.goneOffset = eventsEnd
            $0.howEnded = how
            // Who has said its last word already is simply gone.
            if $0.endedAt != nil { $0.isGone = true }
        }
        return true
    }

    private mutating func jobGone(_ id: AttemptID) -> Bool {
        guard let attempt = attempts[id], !attempt.isGone else { return false }
        change(id) { $0.isGone = true }
        return true
    }

    private mutating func extendLease(_ id: AttemptID, _ context: OperationContext) -> Bool {
        guard let attempt = attempts[id], attempt.endedAt == nil else { return false }
        let limit = context.policy.startLimit(of: id.id.step, in: plan)
        change(id) {
            $0.leaseUntil = context.now + limit
            $0.leaseBlind = context.blindMilliseconds
        }
        return true
    }

    private mutating func jobWaits(_ id: AttemptID, _ why: String, _ context: OperationContext) -> Bool {
        let held = InstanceMachine.Input.held(attempt: id.number, reason: why)
        guard apply(held, to: id.id, actor: Self.engine, stop: nil, context) else { return false }
        note(
            "attempt_held", actor: Self.engine, id: id.id, attempt: id.number,
            detail: ["reason": .string(why)])
        return true
    }

    private mutating func suspend(_ id: InstanceID, _ context: OperationContext) -> Bool {
        // Resumed meanwhile, or it ended.
        guard status == .paused, let machine = instances[id]?.machine, machine.state.hasLiveAttempt else {
            return false
        }
        sendStop(to: AttemptID(id, machine.attempt), reason: "paused", context)
        return true
    }

    private mutating func loseData(
        of id: InstanceID, _ reason: String, _ context: OperationContext
    ) -> Bool {
        guard let machine = instances[id]?.machine else { return false }
        let failed = InstanceMachine.Input.failed(
            attempt: machine.attempt, isRetriable: false, reason: reason)
        guard
            apply(failed, to: id, actor: Self.engine, stop: EndReason.dataLost.rawValue, context)
        else { return false }
        instances[id]?.extra = [DataLoss.key: .bool(true)]
        return true
    }

    mutating func stopSent(_ id: AttemptID) -> Bool {
        guard let attempt = attempts[id], attempt.stopRequestedAt != nil, !attempt.isStopSent else {
            return false
        }
        change(id) { $0.isStopSent = true }
        // Its successor may have waited for this.
        changes.needsLook = true
        return true
    }

    mutating func change(_ id: AttemptID, _ body: (inout AttemptState) -> Void) {
        guard var attempt = attempts[id] else { return }
        body(&attempt)
        attempts[id] = attempt
        changes.attempts.insert(id)
    }

    // MARK: Machines

    /// Applies an input to an instance and does what its machine answers.
    mutating func apply(
        _ input: InstanceMachine.Input, to id: InstanceID, actor: String, stop stopReason: String?,
        _ context: OperationContext
    ) -> Bool {
        guard var instance = instances[id] else { return false }
        let hadLiveAttempt = instance.machine.state.hasLiveAttempt
        let answer = instance.machine.apply(judged(input, of: id.step, actor))
        guard answer != .ignore else { return false }
        var hold: Int64?
        if case .retry(let failures) = answer {
            var delay =
                plan.step(id.step)?.retry.delay(afterFailures: failures, jitter: context.jitter) ?? .zero
            if case .lost(_, false, _) = input {
                delay = max(delay, RetryPolicy.delay(afterExcused: instance.machine.excusedCount))
            }
            hold = delay.milliseconds
            instance.notBefore = context.now + (hold ?? 0)
        }
        if instance.machine.state.isFinal { instance.finishedAt = context.now }
        instances[id] = instance
        changes.instances.insert(id)
        let machine = instance.machine
        let attempt = AttemptID(id, machine.attempt)
        if hadLiveAttempt, let stopReason { sendStop(to: attempt, reason: stopReason, context) }
        if hadLiveAttempt, !machine.state.hasLiveAttempt { endAttempt(attempt, machine, context) }
        if machine.state.isFinal || machine.state == .waiting {
            var isLoss = false
            if case .lost = input { isLoss = true }
            noteTurn(of: id, machine, actor: actor, hold: hold, isLoss: isLoss)
            changes.needsLook = true
        }
        return true
    }

    /// Some causes that else are worth another attempt end the instance where its step says so.
    private func judged(
        _ input: InstanceMachine.Input, of step: StepID, _ actor: String
    ) -> InstanceMachine.Input {
        guard let retry = plan.step(step)?.retry else { return input }
        switch input {
        // Its records are read past: only both sides together can begin anew, by a retry of the queue.
        case .failed(let attempt, true, let reason) where plan.isShared(step):
            return .failed(attempt: attempt, isRetriable: false, reason: reason)
        case .lost(let attempt, true, let reason) where retry.isFinal(.lost):
            return .failed(attempt: attempt, isRetriable: false, reason: reason)
        case .failed(let attempt, true, let reason) where actor != Self.engine && retry.isFinal(.retriable):
            return .failed(attempt: attempt, isRetriable: false, reason: reason)
        default: return input
        }
    }

    private mutating func endAttempt(
        _ id: AttemptID, _ machine: InstanceMachine, _ context: OperationContext
    ) {
        change(id) {
            $0.endedAt = $0.endedAt ?? context.now
            $0.status = machine.state == .waiting ? "ended" : machine.state.rawValue
            $0.reason = machine.reason
            if $0.goneOffset != nil { $0.isGone = true }
        }
    }

    private mutating func noteTurn(
        of id: InstanceID, _ machine: InstanceMachine, actor: String, hold: Int64?, isLoss: Bool
    ) {
        var detail: [String: JSONValue] = ["failures": .integer(Int64(machine.failures))]
        if let reason = machine.reason { detail["reason"] = .string(reason) }
        if isLoss { detail["lost"] = .bool(true) }
        if let hold { detail["next_attempt_in_ms"] = .integer(hold) }
        note(
            "instance_\(machine.state.rawValue)", actor: actor, id: id, attempt: machine.attempt,
            detail: detail)
    }

    /// Into the outbox, to be sent until the attempt has ended.
    private mutating func sendStop(to id: AttemptID, reason: String, _ context: OperationContext) {
        commandSeq += 1
        changes.isQueueChanged = true
        changes.commands.append(
            ControlCommand(
                command: .stop, queueID: queueID, step: id.id.step, instance: id.id.instance,
                attempt: id.number, commandID: "\(queueID)/\(commandSeq)", commandSeq: commandSeq,
                reason: reason, timestamp: 0, traceparent: traceparent))
        change(id) { $0.stopRequestedAt = $0.stopRequestedAt ?? context.now }
    }
}
