import Foundation
import GNNTraining
import GraphLearning
import ObjectStores
import ServiceRuntime
import Workflow

/// Trains one model: reads the graph, goes on from checkpoints, publishes the artifacts at once.
///
/// Everything follows from the graph and the plan, the model's place included: another attempt, or another queue
/// that asks for the same, finds what is there, or makes the same bytes.
package struct TrainingRun: Sendable {
    package enum Outcome: Sendable, Equatable {
        case finished(InstanceCounts, extra: [String: JSONValue])
        case interrupted(InstanceCounts)
    }

    let job: TrainingJob
    let graphs: any GraphStore
    let objects: any ObjectStore
    let hooks: GNNHooks

    package init(
        _ job: TrainingJob, graphs: any GraphStore, objects: any ObjectStore, hooks: GNNHooks
    ) {
        self.job = job
        self.graphs = graphs
        self.objects = objects
        self.hooks = hooks
    }

    /// - Throws: ``GNNTrainerError``, ``StoreError``, ``ObjectStoreError``, ``TrainingError``, ``SnapshotError``.
    package func run() async throws -> Outcome {
        var counts = InstanceCounts()
        do {
            let input = try await read(&counts)
            let plan = try job.options.plan(
                candle: input.origin.intervalMilliseconds, times: input.series.times)
            let id = ModelTrainer.runDigest(input.series, plan)
            guard let place = ModelPlace(job.model, id: id), let prefix = ObjectPrefix(place.rawValue) else {
                preconditionFailure("a digest is 16 digits, and a model's name is legal in keys")
            }
            let shelf = ArtifactShelf(objects, at: prefix)
            if let known = try await shelf.published() {
                hooks.observe(.modelKnown(place))
                // Whoever published it may have been killed before this.
                try await removeCheckpoints(shelf)
                return try await finished(known, shelf, place, input, counts)
            }
            let set = try await trained(input, plan, shelf, counts)
            hooks.observe(.modelPublished(place))
            return try await finished(set, shelf, place, input, counts)
        } catch is GNNStopped {
            return .interrupted(counts)
        } catch let error as TrainingError where error.code == .stopped {
            return .interrupted(counts)
        }
    }

    // MARK: The graph

    private struct Input {
        var series: SnapshotSeries
        var origin: GraphOrigin
        var source: ModelDocument.GraphSource
    }

    private func read(_ counts: inout InstanceCounts) async throws -> Input {
        let hooks = hooks
        let reader = GraphReader(store: graphs, graph: job.graph) { documents in
            if hooks.shouldStop() { throw GNNStopped() }
            hooks.report(InstanceCounts(recordsRead: documents), "Reading the graph", [:])
        }
        let version = try await reader.version(job.version)
        let origin = try reader.origin(of: version)
        let columns = try await reader.columns(of: version, origin)
        let series = try await reader.series(of: version, columns)
        counts.recordsRead = version.vertices + version.edges
        return Input(
            series: series, origin: origin,
            source: ModelDocument.GraphSource(
                name: job.graph.rawValue, version: version.id.rawValue, interval: origin.interval,
                parameters: origin.parameters))
    }

    // MARK: Training

    private func trained(
        _ input: Input, _ plan: TrainingPlan, _ shelf: ArtifactShelf, _ counts: InstanceCounts
    ) async throws -> ArtifactSet {
        let folder = try DurableFolder(job.workFolder)
        defer { try? FileManager.default.removeItem(atPath: job.workFolder) }
        let mirror = CheckpointMirror(
            objects, at: Self.checkpoints(shelf), folder, names: ModelTrainer.checkpointNames)
        try await mirror.fetch()
        let artifacts = try await fit(input, plan, folder, mirror, counts)
        try await mayWrite()
        hooks.beforeWrite()
        let set = try await publish(artifacts, shelf)
        hooks.afterWrite()
        try await removeCheckpoints(shelf)
        return set
    }

    private static func checkpoints(_ shelf: ArtifactShelf) -> ObjectPrefix {
        guard let place = shelf.place.folder("checkpoints") else {
            preconditionFailure("the place is far from the longest one")
        }
        return place
    }

    private func removeCheckpoints(_ shelf: ArtifactShelf) async throws(ObjectStoreError) {
        try await CheckpointMirror.remove(
            ModelTrainer.checkpointNames, at: Self.checkpoints(shelf), of: objects)
    }

    /// Trains on one thread and copies checkpoints on others.
    private func fit(
        _ input: Input, _ plan: TrainingPlan, _ folder: DurableFolder, _ mirror: CheckpointMirror,
        _ counts: InstanceCounts
    ) async throws -> ModelArtifacts {
        let thread = TrainingThread(job.device, threads: job.threads)
        let (epochs, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (hooks, epochsMax) = (hooks, plan.fit.epochsMax)
        return try await withThrowingTaskGroup(of: Result<ModelArtifacts, any Error>?.self) { tasks in
            tasks.addTask {
                for await _ in epochs { try await copy(mirror) }
                return nil
            }
            tasks.addTask {
                // Ends the copying, which first does what is left: also of a training that failed or was stopped.
                defer { signal.finish() }
                do {
                    let artifacts = try await thread.train(
                        input.series, plan, input.source, checkpoints: folder
                    ) {
                        hooks.observe(.training($0))
                        guard case .epochEnded(let fit, let epoch) = $0 else { return }
                        hooks.report(
                            counts, "Epoch \(epoch.epoch) of at most \(epochsMax) of \(fit)", epoch.extra(fit)
                        )
                        signal.yield()
                    } shouldStop: {
                        hooks.shouldStop()
                    }
                    return .success(artifacts)
                } catch {
                    return .failure(error)
                }
            }
            var trained: Result<ModelArtifacts, any Error>?
            while let result = try await tasks.next() { trained = result ?? trained }
            guard let trained else { throw GNNStopped() }
            return try trained.get()
        }
    }

    /// A copy that fails costs the next attempt time, and ends nothing.
    private func copy(_ mirror: CheckpointMirror) async throws {
        // Held back while the lease is in doubt; when stopping, the last one is still worth having.
        _ = try await hooks.waitToWrite()
        do {
            try await mirror.copy()
        } catch {
            hooks.observe(.checkpointNotCopied(detail: "\(error)"))
        }
    }

    private func publish(_ artifacts: ModelArtifacts, _ shelf: ArtifactShelf) async throws -> ArtifactSet {
        let files = artifacts.files.sorted { $0.key < $1.key }.map { name, bytes in
            Artifact(name, ObjectContent(bytes, mediaType: ModelArtifacts.mediaType(of: name)))
        }
        let refusal: ObjectStoreError
        do throws(ObjectStoreError) {
            return try await shelf.publish(files, attempt: job.attempt, willShow: hooks.beforeShow)
        } catch {
            refusal = error
        }
        // Another queue's attempt with a higher number made the same model.
        guard refusal.code == .superseded, let set = try await shelf.published() else { throw refusal }
        return set
    }

    private func mayWrite() async throws {
        guard try await hooks.waitToWrite(), !hooks.shouldStop() else { throw GNNStopped() }
    }

    // MARK: The end

    private func finished(
        _ set: ArtifactSet, _ shelf: ArtifactShelf, _ place: ModelPlace, _ input: Input,
        _ counts: InstanceCounts
    ) async throws -> Outcome {
        let model = try await PublishedModel.read(set, shelf)
        var counts = counts
        counts.recordsWritten = Int64(set.artifacts.count)
        return .finished(counts, extra: model.extra(place))
    }
}

extension EpochRecord {
    fileprivate func extra(_ fit: String) -> [String: JSONValue] {
        [
            "fit": .string(fit), "epoch": .integer(Int64(epoch)), "loss": .number(trainingLoss),
            "validation_loss": .number(validationLoss),
        ]
    }
}
