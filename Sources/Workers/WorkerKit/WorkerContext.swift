import KafkaBridge
import Logging
import Metrics
import ServiceRuntime
import Workflow

/// What the frame gives the work of one attempt.
package struct WorkerContext: Sendable {
    package let identity: WorkerIdentity
    package let settings: SettingValues
    let connection: @Sendable () -> KafkaConnection
    /// Routes a client's logs and errors to our logs and metrics.
    package let kafkaObserver: KafkaObserver
    package let stop: StopSignal
    package let lease: LeaseState
    package let crashPoints: CrashPoints
    package let logger: Logger
    package let metrics: any MetricsFactory
    package let health: HealthState
    /// The request's trace, to be passed on in records (``Workflow/RecordHeader/traceparent``).
    package let traceparent: Traceparent?
    /// Whether others run beside it in this process, which it must not end.
    package let isPooled: Bool
    let telemetry: Telemetry

    /// Pings this attempt has answered.
    package var pongsSent: Int { telemetry.pongsSent }

    /// With the password in force now: it may have been rotated since the start.
    package var kafka: KafkaConnection { connection() }

    /// Tells how far the instance is. Cheap: what is reported is coalesced to about one event a second.
    ///
    /// - Parameters:
    ///   - counts: for the instance over all its attempts, never falling.
    ///   - message: a short sentence for people.
    package func loading(
        _ counts: InstanceCounts, message: String = "Loading", extra: [String: JSONValue] = [:]
    ) {
        telemetry.update(Telemetry.Progress(counts: counts, message: message, extra: extra))
    }

    /// Waits until the attempt may write; call it before each durable effect.
    ///
    /// - Returns: false when a stop was requested: write nothing more than what is needed to end cleanly.
    package func waitToWrite() async throws -> Bool {
        if lease.mayWrite { return !stop.isRequested }
        logger.warning("Held back writes until a heartbeat is delivered")
        while !lease.mayWrite {
            if stop.isRequested { return false }
            try await Task.sleep(for: Self.leasePoll)
        }
        logger.info("Resumed writes")
        return !stop.isRequested
    }

    private static let leasePoll = Duration.milliseconds(50)
}
