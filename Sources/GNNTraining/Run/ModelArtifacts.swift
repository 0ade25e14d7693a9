internal import Foundation
internal import GraphLearning

/// The files of a trained model, as bytes: the same for the same run.
package struct ModelArtifacts: Sendable, Equatable {
    package static let weightsName = "model.safetensors"
    package static let documentName = "model.json"
    package static let metricsName = "metrics.json"
    package static let historyName = "history.csv"
    /// A snapshot of the test part with its predictions: shows that a model was loaded rightly.
    package static let exampleName = "example.json"
    package static let reportName = "report.html"
    /// The model card.
    package static let cardName = "README.md"

    package static func mediaType(of name: String) -> String {
        switch name.split(separator: ".").last {
        case "json": "application/json"
        case "csv": "text/csv"
        case "html": "text/html; charset=utf-8"
        case "md": "text/markdown; charset=utf-8"
        default: "application/octet-stream"
        }
    }

    package let document: ModelDocument
    package let report: TrainingReport
    /// By name.
    package let files: [String: [UInt8]]

    init(
        document: ModelDocument, weights: [[Float]], report: TrainingReport,
        histories: [(fit: String, epochs: [EpochRecord])], example: GraphSnapshot, columns: SnapshotColumns,
        model: GraphModel
    ) throws(TrainingError) {
        let tensors = zip(document.architecture.parameters, weights).map {
            Safetensors.Tensor($0.name, shape: $0.shape, $1)
        }
        let predictions = try model.predict(example, columns)
        self.document = document
        self.report = report
        do {
            files = [
                Self.weightsName: Safetensors(tensors, metadata: ["format": "pt"]).encoded(),
                Self.documentName: try Self.json(document),
                Self.metricsName: try Self.json(report),
                Self.historyName: Self.csv(histories),
                Self.exampleName: try Self.json(Example(example, columns, predictions)),
                Self.reportName: Array(
                    ModelReport(
                        document: document, report: report, histories: histories, example: example
                    ).html.utf8),
                Self.cardName: Array(ModelCard(document: document, report: report).markdown.utf8),
            ]
        } catch {
            throw TrainingError(.storage, "the artifacts cannot be written as JSON: \(error)")
        }
    }

    private static func json(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .useDefaultKeys
        return [UInt8](try encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    private static func csv(_ histories: [(fit: String, epochs: [EpochRecord])]) -> [UInt8] {
        var lines = [
            "fit,epoch,training_loss,validation_loss,learning_rate,gradient_norm,is_best,validation_score"
        ]
        for (fit, epochs) in histories {
            lines += epochs.map {
                "\(fit),\($0.epoch),\($0.trainingLoss),\($0.validationLoss),\($0.learningRate),"
                    + "\($0.gradientNorm),\($0.isBest ? 1 : 0),\($0.validationScore.map { "\($0)" } ?? "")"
            }
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// Unknown values are null.
    private struct Example: Encodable {
        var time: Int64
        var symbols: [String]
        var features: [[Float?]]
        var edges: [[Int32]]
        var edgeFeatures: [[Float?]]
        /// For each symbol the probabilities of the classes, or the one return.
        var predictions: [[Double]]

        init(_ snapshot: GraphSnapshot, _ columns: SnapshotColumns, _ predictions: [GraphModel.Prediction]) {
            time = snapshot.time
            symbols = snapshot.symbols
            features = Self.rows(snapshot.features, of: columns.features.count, snapshot.symbols.count)
            edges = zip(snapshot.edges.sources, snapshot.edges.targets).map { [$0, $1] }
            edgeFeatures = Self.rows(
                snapshot.edges.features, of: columns.edgeFeatures.count, snapshot.edges.sources.count)
            self.predictions = predictions.map {
                $0.probabilities.isEmpty ? [$0.logReturn].compactMap { $0 } : $0.probabilities
            }
        }

        private static func rows(_ values: [Float], of width: Int, _ count: Int) -> [[Float?]] {
            (0..<count).map { row in
                values[row * width..<(row + 1) * width].map { $0.isFinite ? $0 : nil }
            }
        }
    }

    /// Writes all files into a folder that becomes visible at once.
    ///
    /// - Parameter path: must not be there yet.
    /// - Throws: ``TrainingError``: `storage`; nothing is at `path` then.
    package func write(to path: String) throws(TrainingError) {
        let manager = FileManager.default
        guard !manager.fileExists(atPath: path) else {
            throw TrainingError(.storage, "\(path) is there already")
        }
        let partial = "\(path).partial"
        try? manager.removeItem(atPath: partial)
        let folder = try DurableFolder(partial)
        for name in files.keys.sorted() { try folder.write(name, files[name] ?? []) }
        do {
            try manager.moveItem(atPath: partial, toPath: path)
        } catch {
            throw TrainingError(.storage, "\(partial) cannot be renamed to \(path): \(error)")
        }
    }
}
