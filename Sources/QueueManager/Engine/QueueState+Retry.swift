import Workflow

/// What a person may ask of a queue that is over.
package struct RetryRequest: Sendable, Hashable {
    /// Everything from this step on runs again; nil: what did not finish.
    package var from: StepID?

    package init(from: StepID? = nil) {
        self.from = from
    }
}

/// What became of a ``RetryRequest``.
package enum RetryOutcome: Sendable, Hashable {
    case unknownQueue
    case unknownStep(StepID, steps: [StepID])
    /// The queue runs again, for the `run`th time.
    case accepted(run: Int)
    /// It is not over, or it finished.
    case refused(QueueStatus)
    /// It had ``QueueState/runsMax`` runs.
    case tooManyRuns
    /// Retention has deleted its history, and what it knows of its instances may be gone.
    case historyDeleted
}

extension QueueState {
    /// The topics of all runs are deleted together, so there is a limit.
    package static let runsMax = 100

    /// Does what a person asks for, or says why not.
    package mutating func answer(
        to request: RetryRequest, actor: String, _ context: OperationContext
    ) -> RetryOutcome {
        if let step = request.from, plan.step(step) == nil {
            return .unknownStep(step, steps: plan.steps.map(\.id))
        }
        guard status.mayBeRetried else { return .refused(status) }
        guard run < Self.runsMax else { return .tooManyRuns }
        return apply(.retry(from: request.from, actor: actor), context)
            ? .accepted(run: run) : .refused(status)
    }

    /// Begins a new run: what is finished is kept unless it is asked for, the rest waits as at first.
    ///
    /// Its clocks (time-outs, pauses) start anew; history, attempt numbers and command numbers go on. Jobs of
    /// the run before may still be leaving: they were told to, and their attempts stay watched.
    mutating func retry(from step: StepID?, actor: String) -> Bool {
        guard status.mayBeRetried, run < Self.runsMax else { return false }
        var detail: [String: JSONValue] = [:]
        if let step { detail["from"] = .string(step.rawValue) }
        beginRun(from: step, isFailed: status == .failed, actor: actor, detail)
        (startedAt, finishedAt, pausedAt) = (nil, nil, nil)
        pausedMilliseconds = 0
        isTerminated = false
        isCleaned = false
        return true
    }

    /// The engine's own retry, of a queue that else would have failed: its clocks go on, so that its time-out
    /// counts over all runs.
    mutating func runAgain(_ reason: String) -> Bool {
        guard status == .running, run < Self.runsMax, instances.values.allSatisfy(\.machine.state.isFinal)
        else {
            return false
        }
        beginRun(from: nil, isFailed: true, actor: Self.engine, ["reason": .string(reason)])
        return true
    }

    private mutating func beginRun(
        from step: StepID?, isFailed: Bool, actor: String, _ detail: [String: JSONValue]
    ) {
        let chosen = RetrySelection(plan).instances(
            of: instances.mapValues(\.machine), from: step, isFailed: isFailed)
        for id in chosen { runAgain(id) }
        run += 1
        status = .pending
        reason = nil
        let counts: [String: JSONValue] = [
            "run": .integer(Int64(run)), "instances": .integer(Int64(chosen.count)),
        ]
        note("queue_retried", actor: actor, detail: detail.merging(counts) { $1 })
        changes.needsLook = true
    }

    private mutating func runAgain(_ id: InstanceID) {
        guard var machine = instances[id]?.machine, machine.runAgain() else { return }
        instances[id] = InstanceState(machine: machine)
        changes.instances.insert(id)
        changes.runAgain.insert(id)
    }
}
