import Workflow

/// How the engine treats attempts; see docs/configuration.md for the settings behind it.
package struct EnginePolicy: Sendable {
    /// An attempt without a heartbeat for this long is lost.
    package var lease: Duration
    /// A new attempt has this long until its first event.
    package var startLimit: Duration
    /// A stopped attempt is ended by force after this.
    package var stopGrace: Duration
    /// A final queue's topics are kept this long.
    package var topicKeep: Duration
    /// Instances launched at one look at a queue.
    package var launchesMax = 64
    package var shared = SharedTopics()
    /// How many instances of all queues may run at the same time.
    package var limits = InstanceLimits()
    /// Between looks at a queue whose attempt's job has ended and whose last events are not read yet.
    package var livePoll = Duration.milliseconds(500)

    package init(
        lease: Duration = .seconds(30), startLimit: Duration = .seconds(60),
        stopGrace: Duration = .seconds(20),
        topicKeep: Duration = .zero
    ) {
        self.lease = lease
        self.startLimit = startLimit
        self.stopGrace = stopGrace
        self.topicKeep = topicKeep
    }

    /// Milliseconds between heartbeats after which an attempt of a step is lost.
    func lease(of step: StepID, in plan: Plan) -> Int64 {
        plan.step(step)?.heartbeatTimeoutSeconds.map { $0 * 1_000 } ?? lease.milliseconds
    }

    /// Milliseconds until the first event of an attempt of a step.
    func startLimit(of step: StepID, in plan: Plan) -> Int64 {
        plan.step(step)?.startTimeoutSeconds.map { $0 * 1_000 } ?? startLimit.milliseconds
    }
}

extension Duration {
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
