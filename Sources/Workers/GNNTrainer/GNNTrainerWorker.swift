import DocumentStores
import Foundation
import GNNTraining
import GraphLearning
import ObjectStores
import ServiceRuntime
import WorkerKit
import Workflow

/// The worker kind `gnn-trainer`: from a stored graph to a published model.
package enum GNNTrainerWorker {
    package static let kind = WorkerKind(
        name: Target.gnnTrainer.rawValue,
        summary: "Trains a graph network on a stored graph and publishes the model.",
        settings: GNNTrainerSettings.groups
    ) { values in
        let stores = try GNNStores(values)
        let device = try GNNModelSettings.device(values)
        return { context in
            var job = TrainingJob(
                graph: values[GNNModelSettings.graph], version: values[GNNModelSettings.graphVersion],
                model: values[GNNTrainerSettings.model], options: GNNTrainerSettings.options(values),
                workFolder: workFolder(values[GNNTrainerSettings.workFolder], context.identity),
                attempt: context.identity.attempt)
            job.device = device
            job.threads = values[GNNModelSettings.threads]
            let meters = GNNMeters(context.metrics)
            let hooks = GNNHooks(context) { meters($0, context.logger) }
            return await stores.use { graphs, objects in
                switch try await TrainingRun(job, graphs: graphs, objects: objects, hooks: hooks).run() {
                case .finished(let counts, let extra): .finished(counts, extra: extra)
                case .interrupted(let counts): .interrupted(counts)
                }
            }
        }
    }

    /// Of this attempt alone: an earlier one may still be writing to its own.
    private static func workFolder(_ folder: String, _ identity: WorkerIdentity) -> String {
        "\(folder)/\(identity.queueID)-\(identity.instance.step)-\(identity.attempt)"
    }
}

/// The stores that a step of this module works with.
struct GNNStores: Sendable {
    private let documents: StoreChoice
    private let objects: ObjectStoreChoice

    /// - Throws: ``SettingsError``.
    init(_ values: SettingValues) throws(SettingsError) {
        documents = try StoreChoice(values)
        objects = try ObjectStoreChoice(values)
    }

    /// Opens both, and closes them after the work.
    func use(
        _ body: (any GraphStore, any ObjectStore) async throws -> WorkerOutcome
    ) async -> WorkerOutcome {
        let graphs: any GraphStore
        do throws(StoreError) {
            graphs = try await documents.open()
        } catch {
            return .failed(InstanceCounts(), Self.failure(error))
        }
        let objects = objects.open()
        let outcome: WorkerOutcome
        do {
            // A wrong secret or a missing bucket is told before hours of work, not after.
            try await objects.check()
            outcome = try await body(graphs, objects)
        } catch {
            outcome = .failed(InstanceCounts(), Self.failure(error))
        }
        await objects.close()
        await graphs.close()
        return outcome
    }

    /// A store that is away is worth another attempt; a graph that makes no model is not.
    static func failure(_ error: any Error) -> WorkerFailure {
        switch error {
        case let error as GNNTrainerError:
            WorkerFailure(error.code == .incomplete ? .retriable : .final, error.description)
        case let error as StoreError:
            WorkerFailure(error.isRetriable ? .retriable : .final, error.description)
        case let error as ObjectStoreError:
            WorkerFailure(error.isRetriable ? .retriable : .final, error.description)
        case let error as TrainingError:
            WorkerFailure(error.code == .storage ? .retriable : .final, error.description)
        case let error as SnapshotError: WorkerFailure(.final, error.description)
        default: WorkerFailure(.retriable, "\(error)")
        }
    }
}

extension GNNHooks {
    init(_ context: WorkerContext, observe: @escaping @Sendable (GNNObservation) -> Void = { _ in }) {
        self.init(
            shouldStop: { context.stop.isRequested },
            waitToWrite: { try await context.waitToWrite() },
            report: { context.loading($0, message: $1, extra: $2) },
            observe: observe,
            beforeWrite: { context.crashPoints.reach(.beforeStoreWrite) },
            afterWrite: { context.crashPoints.reach(.afterStoreWrite) },
            now: { UTCTimestamp.now().seconds })
        beforeShow = { context.crashPoints.reach(.beforePositionCommit) }
    }
}
