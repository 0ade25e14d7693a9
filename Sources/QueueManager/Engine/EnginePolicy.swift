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
    package var backoff = RetryBackoff()
    /// Between looks at a queue with live attempts: processes end without telling anybody.
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

    var events: EventPolicy { EventPolicy(leaseMilliseconds: lease.milliseconds, backoff: backoff) }
}

extension Duration {
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
