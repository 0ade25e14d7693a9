import KafkaBridge
import Logging
import Metrics
import ServiceRuntime
import Workflow

/// Everything one attempt is made of, wired from its settings.
struct WorkerParts: Sendable {
    let context: WorkerContext
    let listener: ControlListener
    let producer: RenewingProducer
    let observe: WorkerObserver

    /// What all of them share.
    struct Base: Sendable {
        var values: SettingValues
        var kind: String
        var logger: Logger
        var metrics: PrometheusRegistry
        var health: HealthState
    }

    /// Starts the Kafka clients, which connect by themselves in the background.
    ///
    /// - Throws: ``KafkaError`` for settings librdkafka refuses (a CA file that is none), and
    ///   ``CrashPointsError``.
    init(_ base: Base) throws {
        let values = base.values
        let identity = WorkerIdentity(values, kind: base.kind)
        var logger = base.logger
        for (key, value) in identity.logFields { logger[metadataKey: key] = "\(value)" }
        let observer = WorkerObserver(logger: logger, metrics: base.metrics)
        observe = observer
        let password = values.watched(KafkaSettings.password)
        let connection: @Sendable () -> KafkaConnection = {
            KafkaConnection(values, clientID: identity.producerID, password: password.current())
        }
        let lease = values[WorkerSettings.lease]
        producer = try RenewingProducer { () throws(KafkaError) in
            try KafkaProducer(connection(), Self.eventProducer(lease: lease)) { observer(.kafka($0)) }
        }
        listener = try ControlListener(
            connection(),
            partition: TopicPartition(values[TopicSettings.control], values[WorkerSettings.controlPartition]),
            offset: values[WorkerSettings.controlOffset],
            filter: CommandFilter(
                queueID: identity.queueID, instance: identity.instance, attempt: identity.attempt),
            observe: observer)
        let crashPoints = try CrashPoints(
            directory: values[ServiceSettings.crashPointsDirectory],
            label: "\(base.kind) \(identity.instance) \(identity.attempt)")
        let leaseState = LeaseState(lease: lease)
        let traceparent = values[WorkerSettings.traceparent]
        let sender = EventSender(
            identity: identity, producer: producer, topic: values[TopicSettings.events], lease: leaseState,
            traceparent: traceparent)
        let telemetry = Telemetry(
            sender: sender, limits: Telemetry.Limits(lease: lease), crashPoints: crashPoints,
            health: base.health, observe: observer)
        context = WorkerContext(
            identity: identity, settings: values, connection: connection,
            kafkaObserver: { observer(.kafka($0)) }, stop: StopSignal(), lease: leaseState,
            crashPoints: crashPoints, logger: logger, metrics: base.metrics, health: base.health,
            traceparent: traceparent, isPooled: false, telemetry: telemetry)
    }

    /// An event that is late by more than a lease is of no use to the engine: better a new one.
    static func eventProducer(lease: Duration) -> KafkaProducerConfiguration {
        var configuration = KafkaProducerConfiguration()
        configuration.deliveryTimeout = min(max(lease, .seconds(5)), .seconds(30))
        configuration.linger = .zero
        configuration.queuedRecordsMax = 1_000
        configuration.queuedBytesMax = 4 << 20
        return configuration
    }
}
