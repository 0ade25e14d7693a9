internal import Foundation
package import GraphLearning
package import TorchBridge

/// What `model.json` says: with the weights beside it, everything that a prediction needs.
package struct ModelDocument: Sendable, Equatable, Codable {
    package static let currentFormat = 1

    package struct Provenance: Sendable, Equatable, Codable {
        /// Of the series and of the plan that was trained with it.
        package var dataDigest: String
        package var runDigest: String
        /// Milliseconds since 1970, of the first and the last snapshot.
        package var firstTime: Int64
        package var lastTime: Int64
        package var snapshots: Int
        /// Snapshots of each part.
        package var trainingSnapshots: Int
        package var validationSnapshots: Int
        package var testSnapshots: Int
        package var symbols: [String]
        package var seed: UInt64
        package var bestEpoch: Int
        package var libtorchVersion: String
        package var device: String
    }

    /// The stored graph that the snapshots come from.
    package struct GraphSource: Sendable, Equatable, Codable {
        package var name: String
        package var version: String
        /// Of the candles, as in keys, e.g. `1h`.
        package var interval: String
        /// The builder's, as JSON: a graph that was built otherwise means something else by the same columns.
        package var parameters: String

        package init(name: String, version: String, interval: String, parameters: String) {
            self.name = name
            self.version = version
            self.interval = interval
            self.parameters = parameters
        }
    }

    package var format = Self.currentFormat
    package var task: LearningTask.Kind
    package var horizonMilliseconds: Int64
    /// Of directions: logarithmic returns from −this to this are flat.
    package var deadBand: Double
    /// Of returns: what the network's output is multiplied with.
    package var outcomeScale: Double
    package var classes: [String]
    package var columns: SnapshotColumns
    package var architecture: NetworkSpecification
    package var scaler: ColumnScaler
    package var edgeScaler: ColumnScaler
    package var provenance: Provenance
    /// nil for snapshots that come from elsewhere.
    package var graph: GraphSource?
}

/// A trained network that can be asked.
package struct GraphModel {
    /// What it expects of one symbol.
    package struct Prediction: Sendable, Equatable {
        package var symbol: String
        /// Of down, flat, up; empty when returns are predicted.
        package var probabilities: [Double]
        /// The predicted logarithmic return; nil when classes are predicted.
        package var logReturn: Double?
    }

    package let document: ModelDocument
    private let network: GraphNetwork
    private let device: TorchDevice
    /// Snapshots that are asked at once.
    private static let batchMax = 32

    /// - Throws: ``TrainingError``: `storage` when document and weights do not fit each other.
    package init(
        _ document: ModelDocument, _ weights: Safetensors, device: TorchDevice = .cpu
    ) throws(TrainingError) {
        guard document.format == ModelDocument.currentFormat else {
            throw TrainingError(
                .storage,
                "a model of format \(document.format); this program reads \(ModelDocument.currentFormat)")
        }
        if let fault = document.architecture.fault {
            throw TrainingError(.storage, "the architecture: \(fault)")
        }
        var values: [[Float]] = []
        for parameter in document.architecture.parameters {
            guard let tensor = weights[parameter.name], tensor.shape == parameter.shape else {
                throw TrainingError(
                    .storage, "the weights have no \(parameter.name) of shape \(parameter.shape)")
            }
            values.append(tensor.values)
        }
        try self.init(document, values, device: device)
    }

    init(_ document: ModelDocument, _ values: [[Float]], device: TorchDevice) throws(TrainingError) {
        self.document = document
        self.device = device
        network = try torch { () throws(TorchError) in
            GraphNetwork(try ParameterSet(document.architecture, values, device: device, isTrained: false))
        }
    }

    /// Reads `model.json` and `model.safetensors`.
    package init(
        documentJSON: [UInt8], weights: [UInt8], device: TorchDevice = .cpu
    ) throws(TrainingError) {
        let document: ModelDocument
        let tensors: Safetensors
        do {
            document = try JSONDecoder().decode(ModelDocument.self, from: Data(documentJSON))
            tensors = try Safetensors(decoding: weights)
        } catch {
            throw TrainingError(.storage, "the model cannot be read: \(error)")
        }
        try self.init(document, tensors, device: device)
    }

    /// - Throws: ``TrainingError``: `badData` when the snapshot has not the columns that the model was trained with.
    package func predict(
        _ snapshot: GraphSnapshot, _ columns: SnapshotColumns
    ) throws(TrainingError) -> [Prediction] {
        guard columns == document.columns else {
            throw TrainingError(
                .badData,
                "the model wants the columns \(document.columns.features) and "
                    + "\(document.columns.edgeFeatures), not \(columns.features) and \(columns.edgeFeatures)")
        }
        do throws(SnapshotError) {
            _ = try SnapshotSeries(columns: columns, [snapshot])
        } catch {
            throw TrainingError(.badData, "\(error)")
        }
        let prepared = PreparedSnapshot(
            snapshot, scaler: document.scaler, edgeScaler: document.edgeScaler)
        let outputs = try outputs([prepared])[0]
        let width = document.architecture.outputs
        return snapshot.symbols.enumerated().map { node, symbol in
            let row = outputs[node * width..<(node + 1) * width]
            return document.task == .direction
                ? Prediction(symbol: symbol, probabilities: Array(row), logReturn: nil)
                : Prediction(symbol: symbol, probabilities: [], logReturn: row.first)
        }
    }

    /// For each snapshot the probabilities or the returns of its nodes, row by row.
    func outputs(_ snapshots: [PreparedSnapshot]) throws(TrainingError) -> [[Double]] {
        var outputs: [[Double]] = []
        for first in stride(from: 0, to: snapshots.count, by: Self.batchMax) {
            let batch = Array(snapshots[first..<min(first + Self.batchMax, snapshots.count)])
            let together = try torch { () throws(TorchError) in try self.values(of: GraphBatch(batch)) }
            var start = 0
            for snapshot in batch {
                let end = start + snapshot.nodeCount * document.architecture.outputs
                outputs.append(Array(together[start..<end]))
                start = end
            }
        }
        return outputs
    }

    private func values(of batch: GraphBatch) throws(TorchError) -> [Double] {
        try Torch.withoutGradients { () throws(TorchError) in
            let tensors = try BatchTensors(batch, document.architecture, device: device)
            let out = try network(tensors, .inference)
            guard document.task == .direction else {
                return try out.values(Float.self).map { Double($0) * document.outcomeScale }
            }
            return try out.logSoftmax().values(Float.self).map { exp(Double($0)) }
        }
    }
}
