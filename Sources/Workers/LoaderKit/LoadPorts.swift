import KafkaBridge
import ServiceRuntime

/// What a load asks of the frame it runs in.
package struct LoadPorts: Sendable {
    package var kafka: KafkaConnection
    package var observeKafka: KafkaObserver
    /// Waits until the attempt may write; false when a stop was requested.
    package var waitToWrite: @Sendable () async throws -> Bool
    /// Whether the lease still allows a commit.
    package var mayWrite: @Sendable () -> Bool
    /// Returns when a stop was requested, or the task is cancelled.
    package var stopRequested: @Sendable () async -> Void
    /// Told after each commit; must not block.
    package var report: @Sendable (LoadProgress) -> Void
    package var crashPoints: CrashPoints

    package init(
        kafka: KafkaConnection, observeKafka: @escaping KafkaObserver = { _ in },
        waitToWrite: @escaping @Sendable () async throws -> Bool = { true },
        mayWrite: @escaping @Sendable () -> Bool = { true },
        stopRequested: @escaping @Sendable () async -> Void,
        report: @escaping @Sendable (LoadProgress) -> Void = { _ in }, crashPoints: CrashPoints = .off
    ) {
        self.kafka = kafka
        self.observeKafka = observeKafka
        self.waitToWrite = waitToWrite
        self.mayWrite = mayWrite
        self.stopRequested = stopRequested
        self.report = report
        self.crashPoints = crashPoints
    }
}
