import DocumentStores
import KafkaBridge
import ServiceRuntime
import WorkerKit
import Workflow

/// The worker kind `arango-connector`: from the instance's partition into its collection.
package enum ConnectorWorker {
    package static let kind = WorkerKind(
        name: Target.arangoConnector.rawValue,
        summary: "Stores the records of a data topic in ArangoDB or PostgreSQL.",
        settings: ConnectorSettings.groups
    ) { values in
        MemoryPolicy.returnLargeBlocks()
        let stream = try ConnectorSettings.stream(values)
        let choice = try StoreChoice(values)
        return { context in try await run(stream, choice, context) }
    }

    private static let closeMax = Duration.seconds(5)

    private static func run(
        _ stream: ConnectorStream, _ choice: StoreChoice, _ context: WorkerContext
    ) async throws -> WorkerOutcome {
        var stream = stream
        stream.traceparent = context.traceparent?.description
        let limits = ConnectorSettings.limits(context.settings)
        let hooks = hooks(context)
        let store: any DocumentStore
        do throws(ConnectorError) {
            store = try await StorePatience(limits: limits, hooks: hooks).call { _ throws(StoreError) in
                try await choice.open()
            }
        } catch {
            return outcome(of: error)
        }
        do {
            let parts = try clients(stream, context, store)
            let outcome = await StreamConnector(stream, parts: parts, limits: limits, hooks: hooks).run()
            await close(parts)
            return WorkerOutcome(outcome)
        } catch {
            await store.close()
            throw error
        }
    }

    private static func clients(
        _ stream: ConnectorStream, _ context: WorkerContext, _ store: any DocumentStore
    ) throws(KafkaError) -> ConnectorParts {
        let group = DerivedName.group(context.identity.queueID, context.identity.instance)
        return ConnectorParts(
            consumer: try KafkaConsumer(
                context.kafka, ConnectorParts.consumerConfiguration(group: group),
                observe: context.kafkaObserver),
            producer: try KafkaProducer(context.kafka, observe: context.kafkaObserver), store: store)
    }

    private static func hooks(_ context: WorkerContext) -> ConnectorHooks {
        let observer = ConnectorObserver(logger: context.logger, metrics: context.metrics)
        return ConnectorHooks(
            shouldStop: { context.stop.isRequested }, mayWrite: { context.lease.mayWrite },
            report: { counts, waitsAtEnd in
                context.loading(
                    counts, message: "Storing",
                    extra: [DataLoss.waitKey: .integer(waitsAtEnd.components.seconds)])
            },
            observe: { observation in
                // A store that is away makes the worker not ready; its next answer makes it ready again.
                switch observation {
                case .storeRetried(let error, _):
                    context.health.setReady("store", problem: error.code.rawValue)
                case .resumed, .batchStored, .confirmed: context.health.setReady("store")
                default: break
                }
                observer(observation)
            }, crashPoints: context.crashPoints)
    }

    private static func outcome(of error: ConnectorError) -> WorkerOutcome {
        error.reason == .stopped
            ? .interrupted(InstanceCounts())
            : .failed(InstanceCounts(), WorkerFailure(error.reason, error.detail))
    }

    /// Everything was acknowledged: what these wait for is only the clients' own end.
    private static func close(_ parts: ConnectorParts) async {
        await parts.consumer.close(timeout: closeMax)
        try? await parts.producer.close(timeout: closeMax)
        await parts.store.close()
    }
}

extension WorkerOutcome {
    init(_ outcome: ConnectorOutcome) {
        switch outcome {
        case .finished(let counts, let extra): self = .finished(counts, extra: extra)
        case .interrupted(let counts): self = .interrupted(counts)
        case .superseded: self = .superseded
        case .failed(let counts, let error): self = .failed(counts, WorkerFailure(error.reason, error.detail))
        }
    }
}
