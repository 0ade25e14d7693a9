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
        /// What its worker said beside the counts.
        package var extra: [String: JSONValue]
        /// Milliseconds of the database's clock.
        package var finishedAt: Int64?

        package init(
            machine: InstanceMachine, counts: InstanceCounts, notBefore: Int64, isStopRequested: Bool = false,
            elapsed: Int64? = nil, extra: [String: JSONValue] = [:], finishedAt: Int64? = nil
        ) {
            self.machine = machine
            self.counts = counts
            self.notBefore = notBefore
            self.isStopRequested = isStopRequested
            self.elapsed = elapsed
            self.extra = extra
            self.finishedAt = finishedAt
        }

        var result: StepResult { StepResult(status: machine.state, counts: counts, extra: extra) }

        /// Finished, or skipped because its conditions did not hold: what comes after it may run.
        var isSuccess: Bool {
            machine.state == .finished
                || (machine.state == .skipped && machine.reason == SkipReason.conditionNotMet)
        }
    }

    package var status: QueueStatus
    /// 1, and one more each time it runs again.
    package var run: Int
    package var plan: Plan
    package var instances: [InstanceID: Instance]
    /// Milliseconds of the database's clock.
    package var now: Int64
    /// Milliseconds since the queue began to run, pauses not counted; nil before.
    package var elapsed: Int64?

    package init(
        status: QueueStatus, run: Int = 1, plan: Plan, instances: [InstanceID: Instance], now: Int64,
        elapsed: Int64? = nil
    ) {
        self.status = status
        self.run = run
        self.plan = plan
        self.instances = instances
        self.now = now
        self.elapsed = elapsed
    }
}

/// Why the engine skips an instance.
package enum SkipReason {
    /// One of its step's conditions did not hold; counts as success.
    package static let conditionNotMet = "condition_not_met"
    /// What it would have read ended without an end marker.
    package static let upstreamFailed = "upstream_failed"
    /// What would have stored its records of a shared topic is over.
    package static let downstreamFailed = "downstream_failed"

    package static func didNotFinish(_ step: StepID) -> String { "step \(step) did not finish" }
}
