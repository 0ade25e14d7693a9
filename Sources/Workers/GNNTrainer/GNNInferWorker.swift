import ServiceRuntime
import TorchBridge
import WorkerKit
import Workflow

/// The worker kind `gnn-infer`: asks a published model about the newest snapshot of a graph.
package enum GNNInferWorker {
    static let place = Setting.text(
        "MODEL_PLACE", example: "models/market_direction/3f9a0b1c2d4e5f60",
        doc: "Where the model is in the object store; the queue-manager sets it from the plan."
    ).typed(expects: ModelPlace.rules) { ModelPlace($0) }
    static let collection = WorkerSettings.collectionOutput.required().typed(
        expects: "the name of a collection"
    ) { text in text.flatMap { CollectionName($0) } }

    package static let kind = WorkerKind(
        name: Target.gnnInfer.rawValue,
        summary: "Asks a trained model about the newest snapshot of a graph.",
        settings: [SettingsGroup("Inference", [place, collection])] + GNNModelSettings.groups
    ) { values in
        let stores = try GNNStores(values)
        let device = try GNNModelSettings.device(values)
        let job = InferenceJob(
            graph: values[GNNModelSettings.graph], version: values[GNNModelSettings.graphVersion],
            place: values[place], collection: values[collection])
        return { context in
            await stores.use { graphs, objects in
                let run = InferenceRun(
                    job, graphs: graphs, objects: objects, device: device,
                    threads: values[GNNModelSettings.threads], hooks: GNNHooks(context))
                return switch try await run.run() {
                case .finished(let counts, let extra): .finished(counts, extra: extra)
                case .interrupted(let counts): .interrupted(counts)
                }
            }
        }
    }
}
