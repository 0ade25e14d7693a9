import Foundation
import GNNTraining
import GraphLearning
import ObjectStores
import Workflow

/// A model as it is on the shelf.
struct PublishedModel: Sendable {
    /// Documents are some 100 KB.
    private static let documentBytesMax = 64 << 20
    static let weightsBytesMax = 1 << 30

    let set: ArtifactSet
    let document: ModelDocument
    let report: TrainingReport
    let documentJSON: [UInt8]

    /// - Throws: ``ObjectStoreError``, ``GNNTrainerError`` `noModel` when the files are none of a model.
    static func read(_ set: ArtifactSet, _ shelf: ArtifactShelf) async throws -> PublishedModel {
        let json = try await bytes(ModelArtifacts.documentName, set, shelf, documentBytesMax)
        let metrics = try await bytes(ModelArtifacts.metricsName, set, shelf, documentBytesMax)
        do {
            let decoder = JSONDecoder()
            return PublishedModel(
                set: set, document: try decoder.decode(ModelDocument.self, from: Data(json)),
                report: try decoder.decode(TrainingReport.self, from: Data(metrics)), documentJSON: json)
        } catch {
            throw GNNTrainerError(.noModel, "the files at \(shelf.place) are none of a model: \(error)")
        }
    }

    static func bytes(
        _ name: String, _ set: ArtifactSet, _ shelf: ArtifactShelf, _ bytesMax: Int
    ) async throws -> [UInt8] {
        guard let entry = set.entry(name), entry.bytes <= Int64(bytesMax) else {
            throw GNNTrainerError(
                .noModel, "\(shelf.place) has no \(name), or it is longer than \(bytesMax) bytes")
        }
        let collected = Collected()
        try await shelf.read(name, of: set) { await collected.add($0) }
        return await collected.bytes
    }

    /// What the step's final event says: all that the registry of models keeps.
    func extra(_ place: ModelPlace) -> [String: JSONValue] {
        let weights = set.entry(ModelArtifacts.weightsName)
        var metrics: [String: JSONValue] = [:]
        for model in report.models {
            metrics[model.name] = .object(
                Dictionary(uniqueKeysWithValues: model.metrics.map { ($0.key.rawValue, Self.json($0.value)) })
            )
        }
        return [
            ModelSources.modelPlaceMember: .string(place.rawValue), "model": .string(place.name.rawValue),
            "model_id": .string(place.id), "task": .string(document.task.rawValue),
            "horizon_ms": .integer(document.horizonMilliseconds),
            "graph": .string(document.graph?.name ?? ""),
            "graph_version": .string(document.graph?.version ?? ""),
            "graph_helps": .string(report.graph.rawValue), "summary": .string(report.summary),
            "epochs": .integer(Int64(report.epochs)), "best_epoch": .integer(Int64(report.bestEpoch)),
            "weights_sha256": .string(weights?.sha256 ?? ""),
            "bytes": .integer(set.artifacts.reduce(0) { $0 + $1.bytes }), "folder": .string(set.folder),
            "files": .array(set.artifacts.map { .string($0.name) }), "metrics": .object(metrics),
        ]
    }

    private static func json(_ measured: Measured) -> JSONValue {
        var members: [String: JSONValue] = ["value": .number(measured.value)]
        if let interval = measured.interval {
            members["low"] = .number(interval.low)
            members["high"] = .number(interval.high)
        }
        return .object(members)
    }
}

private actor Collected {
    private(set) var bytes: [UInt8] = []

    func add(_ piece: [UInt8]) { bytes += piece }
}
