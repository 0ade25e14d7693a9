import KafkaBridge
import ServiceRuntime
import Workflow

/// Offers each attempt to the long-lived workers of its target: one record on `sf-pool-<target>`.
///
/// Who takes an offer commits its offset first, so that it is taken once, also when the taker dies; the lease
/// covers that loss. An offer is never sent again: the next attempt takes the place of one that may have been.
package final class PoolLauncher: JobLauncher {
    package struct Configuration: Sendable {
        /// Their topics are made at the start.
        package var targets: Set<Target>
        /// Of a topic when it is made: as many workers can share its offers.
        package var partitions = 12
        /// nil: the broker's default.
        package var replication: Int?
        /// What every offer carries beside its attempt's own variables; no secrets.
        package var environment: [String: String]
        /// Until the broker has stored an offer.
        package var deliveryTimeout = Duration.seconds(10)
        /// How old a known position of the pool may be.
        package var positionAgeMax = Duration.milliseconds(250)

        package init(targets: Set<Target>, environment: [String: String] = [:]) {
            self.targets = targets
            self.environment = environment
        }
    }

    package let name = "pool"
    /// Nobody hears when a pooled attempt ends without its final event; its lease tells.
    package let ends: AsyncStream<QueueID>
    private let configuration: Configuration
    private let positions: GroupPositions
    private let offered = OfferedEnvironment()
    private let producer: RenewingProducer

    /// An offer is of no use after this long, whatever became of its attempt.
    private static let retentionMilliseconds = 7 * 24 * 3_600 * 1_000

    /// Makes the topics unless they are there.
    ///
    /// - Throws: ``KafkaError`` when the broker does not answer or refuses.
    package init(
        _ connection: KafkaConnection, _ configuration: Configuration, observe: @escaping KafkaObserver
    ) async throws(KafkaError) {
        self.configuration = configuration
        ends = AsyncStream { $0.finish() }
        let admin = try KafkaAdmin(connection, observe: observe)
        positions = GroupPositions(admin: admin, ageMax: configuration.positionAgeMax)
        producer = try RenewingProducer { () throws(KafkaError) in
            try Self.makeProducer(connection, configuration, observe)
        }
        let retention = ["retention.ms": String(Self.retentionMilliseconds)]
        try await admin.createTopics(
            configuration.targets.map {
                TopicSpecification(
                    DerivedName.poolTopic($0), partitions: configuration.partitions,
                    replication: configuration.replication, configuration: retention
                ).guarded
            })
    }

    /// Ends its Kafka clients; offers under way are sent before.
    package func close() async {
        try? await producer.close()
        await positions.close()
    }

    package func isLaunchRepeatable(for target: Target) -> Bool { false }
    package func pollInterval(for target: Target) -> Duration? { nil }
    package func isHeardOfSoon(for target: Target) -> Bool { true }

    package func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
        let operation = "offer \(job.id)"
        let topic = DerivedName.poolTopic(job.target)
        let environment = configuration.environment.merging(job.environment) { _, own in own }
        if let name = offered.refused(in: environment) {
            throw LaunchError(
                operation: operation, detail: "\(name) is a secret or names a file: the worker has its own",
                isRetriable: false)
        }
        let offer = PoolOffer(
            queueID: job.queueID, id: job.id, attempt: job.attempt, target: job.target,
            environment: environment, traceparent: environment[WorkerSettings.traceparent.name])
        let value: [UInt8]
        do {
            value = try MessageCodec.encode(offer)
        } catch {
            throw LaunchError(operation: operation, detail: "\(error)", isRetriable: false)
        }
        do throws(KafkaError) {
            let stored = try await producer.send(
                key: Array(job.queueID.rawValue.utf8), value: value, to: topic)
            return JobHandle(
                launcher: name,
                fields: [
                    "topic": topic, "partition": String(stored.partition ?? -1),
                    "offset": String(stored.firstOffset),
                ])
        } catch {
            throw LaunchError(operation: operation, detail: error.description, isRetriable: true)
        }
    }

    /// An offer whose launch was not recorded cannot be told from others.
    package func find(
        _ id: InstanceID, attempt: Int, of queueID: QueueID
    ) async throws(LaunchError) -> JobHandle? { nil }

    package func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
        guard let topic = handle.fields["topic"], let offset = handle.fields["offset"].flatMap({ Int64($0) }),
            let partition = handle.fields["partition"].flatMap({ Int32($0) })
        else {
            throw LaunchError(
                operation: "find an offer", detail: "the stored handle is incomplete", isRetriable: false)
        }
        let taken = try await positions.of(topic)[partition] ?? 0
        return taken <= offset ? .queued : .running
    }

    /// A worker of many attempts is not ended for one: the engine sends `stop` to a lost attempt.
    package func kill(_ handle: JobHandle) async throws(LaunchError) {}

    private static func makeProducer(
        _ connection: KafkaConnection, _ configuration: Configuration, _ observe: @escaping KafkaObserver
    ) throws(KafkaError) -> KafkaProducer {
        var settings = KafkaProducerConfiguration()
        // What waits while requests are under way goes out together all the same.
        settings.linger = .zero
        settings.deliveryTimeout = configuration.deliveryTimeout
        settings.queuedRecordsMax = 20_000
        settings.queuedBytesMax = 32 << 20
        return try KafkaProducer(connection, settings, observe: observe)
    }
}
