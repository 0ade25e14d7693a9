import BLASBridge
import DocumentStores
import ServiceRuntime
import WorkerKit
import Workflow

/// The worker kind `graph-builder`: from stored candles to the graph of their symbols.
package enum GraphBuilderWorker {
    package static let kind = WorkerKind(
        name: Target.graphBuilder.rawValue,
        summary: "Builds the graph of symbols from stored candles and trades.",
        settings: GraphBuilderSettings.groups
    ) { values in
        let job = try GraphBuilderSettings.job(values)
        let choice = try StoreChoice(values)
        if let threads = values[GraphBuilderSettings.blasThreads] { BLAS.setThreads(threads) }
        return { context in await run(job, choice, context) }
    }

    private static func run(
        _ job: GraphJob, _ choice: StoreChoice, _ context: WorkerContext
    ) async -> WorkerOutcome {
        let store: any GraphStore
        do throws(StoreError) {
            store = try await choice.open()
        } catch {
            return .failed(InstanceCounts(), failure(error))
        }
        let build = GraphBuild(job, store: store, hooks: hooks(context), identity: identity(context))
        let outcome: WorkerOutcome
        do {
            switch try await build.run() {
            case .finished(let counts, let extra): outcome = .finished(counts, extra: extra)
            case .interrupted(let counts): outcome = .interrupted(counts)
            }
        } catch {
            outcome = .failed(InstanceCounts(), failure(error))
        }
        await store.close()
        return outcome
    }

    private static func hooks(_ context: WorkerContext) -> GraphHooks {
        GraphHooks(
            shouldStop: { context.stop.isRequested },
            waitToWrite: { try await context.waitToWrite() },
            report: { context.loading($0, message: $1) },
            beforeWrite: { context.crashPoints.reach(.beforeStoreWrite) },
            afterWrite: { context.crashPoints.reach(.afterStoreWrite) },
            now: { UTCTimestamp.now().seconds })
    }

    private static func identity(_ context: WorkerContext) -> [String: JSONValue] {
        let identity = context.identity
        return [
            "queue_id": .string(identity.queueID.rawValue), "step": .string(identity.instance.step.rawValue),
            "instance": .string(identity.instance.instance), "attempt": .integer(Int64(identity.attempt)),
        ]
    }

    /// A store that is away is worth another attempt; candles that make no graph are not.
    private static func failure(_ error: any Error) -> WorkerFailure {
        switch error {
        case let error as GraphBuilderError:
            WorkerFailure(error.code == .incomplete ? .retriable : .final, error.description)
        case let error as StoreError:
            WorkerFailure(error.isRetriable ? .retriable : .final, error.description)
        default: WorkerFailure(.retriable, "\(error)")
        }
    }
}
