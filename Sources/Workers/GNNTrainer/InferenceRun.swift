import GNNTraining
import GraphLearning
import ObjectStores
import TorchBridge
import Workflow

/// What one attempt of a step that asks a model is to do.
package struct InferenceJob: Sendable {
    package var graph: GraphName
    /// nil: the one that knows the latest candles.
    package var version: GraphVersionID?
    package var place: ModelPlace
    /// Where predictions go.
    package var collection: CollectionName

    package init(
        graph: GraphName, version: GraphVersionID? = nil, place: ModelPlace, collection: CollectionName
    ) {
        self.graph = graph
        self.version = version
        self.place = place
        self.collection = collection
    }
}

/// Asks a published model about the newest snapshot of a graph, and stores what it says.
///
/// Keys name model, time and symbol: asking again writes nothing new.
package struct InferenceRun: Sendable {
    let job: InferenceJob
    let graphs: any GraphStore
    let objects: any ObjectStore
    let hooks: GNNHooks
    private let thread: TrainingThread

    package init(
        _ job: InferenceJob, graphs: any GraphStore, objects: any ObjectStore, device: TorchDevice = .cpu,
        threads: Int = 1, hooks: GNNHooks
    ) {
        self.job = job
        self.graphs = graphs
        self.objects = objects
        self.hooks = hooks
        thread = TrainingThread(device, threads: threads)
    }

    /// - Throws: ``GNNTrainerError``, ``StoreError``, ``ObjectStoreError``, ``TrainingError``.
    package func run() async throws -> TrainingRun.Outcome {
        guard let prefix = ObjectPrefix(job.place.rawValue) else {
            preconditionFailure("a model's place is legal in keys")
        }
        let shelf = ArtifactShelf(objects, at: prefix)
        guard let set = try await shelf.published() else {
            throw GNNTrainerError(.noModel, "there is no model at \(job.place)")
        }
        let model = try await PublishedModel.read(set, shelf)
        let reader = GraphReader(store: graphs, graph: job.graph)
        let version = try await reader.version(job.version)
        let columns = try await columns(of: version, for: model.document, reader)
        let snapshot = try await reader.newest(of: version, columns)
        let weights = try await PublishedModel.bytes(
            ModelArtifacts.weightsName, set, shelf, PublishedModel.weightsBytesMax)
        let predictions = try await thread.predict(
            documentJSON: model.documentJSON, weights: weights, snapshot, columns.columns)
        let documents = PredictionDocuments(
            place: job.place, graph: job.graph, version: version.id, asOf: snapshot.time,
            horizon: model.document.horizonMilliseconds, classes: model.document.classes)
        let read = Int64(snapshot.symbols.count + snapshot.edges.sources.count)
        guard try await hooks.waitToWrite(), !hooks.shouldStop() else {
            return .interrupted(InstanceCounts(recordsRead: read))
        }
        return try await write(predictions, documents, read)
    }

    /// A network knows nothing of a graph that was built otherwise: its numbers would mean something else.
    private func columns(
        of version: GraphVersion, for document: ModelDocument, _ reader: GraphReader
    ) async throws -> GraphColumns {
        let origin = try reader.origin(of: version)
        let source = document.graph
        guard let source, source.interval == origin.interval, source.parameters == origin.parameters else {
            throw GNNTrainerError(
                .noModel,
                "the model at \(job.place) was trained on a graph of \(source?.interval ?? "-") candles "
                    + "with \(source?.parameters ?? "-"), but version \(version.id) of \(job.graph) is one of "
                    + "\(origin.interval) candles with \(origin.parameters)")
        }
        return GraphColumns(features: document.columns.features, methods: origin.methods)
    }

    private func write(
        _ predictions: [GraphModel.Prediction], _ documents: PredictionDocuments, _ read: Int64
    ) async throws -> TrainingRun.Outcome {
        try await graphs.ensureCollection(
            job.collection, indexes: [DocumentIndex(fields: ["symbol", "as_of"])])
        var batch = DocumentBatch()
        for prediction in predictions {
            let document = try documents.document(prediction)
            batch.append(key: document.key.utf8, json: document.json)
        }
        hooks.beforeWrite()
        let outcome = try await graphs.write(
            batch, to: job.collection, mode: .upsert, advance: nil
        ) { _ in }
        hooks.afterWrite()
        if let refused = outcome.refused.first {
            throw GNNTrainerError(.incomplete, "\(job.collection) refused a prediction: \(refused.reason)")
        }
        return .finished(
            InstanceCounts(recordsRead: read, recordsWritten: Int64(predictions.count)),
            extra: [
                "model_place": .string(job.place.rawValue), "model": .string(job.place.name.rawValue),
                "collection": .string(job.collection.rawValue), "as_of": .integer(documents.asOf),
                "graph_version": .string(documents.version.rawValue),
                "predictions": .integer(Int64(predictions.count)),
            ])
    }
}

/// The stored form of predictions.
struct PredictionDocuments: Sendable {
    let place: ModelPlace
    let graph: GraphName
    let version: GraphVersionID
    /// Of the snapshot.
    let asOf: Int64
    /// Milliseconds.
    let horizon: Int64
    /// Empty where returns are predicted.
    let classes: [String]

    func document(_ prediction: GraphModel.Prediction) throws -> (key: String, json: [UInt8]) {
        let digits = String(max(asOf, 0))
        let time = String(repeating: "0", count: max(13 - digits.count, 0)) + digits
        let key = "\(place.id)-\(time)-\(prediction.symbol)"
        var members: [String: JSONValue] = [
            "_key": .string(key), "symbol": .string(prediction.symbol), "as_of": .integer(asOf),
            "horizon_ms": .integer(horizon), "until": .integer(asOf + horizon),
            "model": .string(place.name.rawValue), "model_id": .string(place.id),
            "graph": .string(graph.rawValue), "graph_version": .string(version.rawValue),
        ]
        if let logReturn = prediction.logReturn {
            members["log_return"] = .number(logReturn)
        } else {
            let pairs = zip(classes, prediction.probabilities.map { JSONValue.number($0) })
            members["probabilities"] = .object(Dictionary(pairs) { first, _ in first })
            let best = Evaluation.mostLikely(prediction.probabilities)
            if classes.indices.contains(best) { members["direction"] = .string(classes[best]) }
        }
        return (key, try MessageCodec.encode(JSONValue.object(members)))
    }
}
