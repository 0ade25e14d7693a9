internal import Foundation
package import GraphLearning
package import TorchBridge

/// Trains the graph network and what it is compared with, and makes the artifacts.
///
/// Blocks its thread for as long as that takes: run it on a thread of its own.
package struct ModelTrainer {
    /// What the caller may want to tell others.
    package enum Observation: Sendable, Equatable {
        case prepared(TimeSplit.Parts, samples: Int)
        case resumed(fit: String, epochsDone: Int)
        case checkpointUnusable(fit: String, detail: String)
        case epochEnded(fit: String, EpochRecord)
        case fitEnded(fit: String, bestEpoch: Int)
    }

    private let series: SnapshotSeries
    private let plan: TrainingPlan
    private let source: ModelDocument.GraphSource?
    private let device: TorchDevice
    private let checkpoints: DurableFolder?
    private let observe: (Observation) -> Void
    private let shouldStop: () -> Bool

    /// - Parameters:
    ///   - graph: where the snapshots come from, for the model's document.
    ///   - checkpoints: where a run that was killed goes on from; nil begins anew each time.
    ///   - shouldStop: asked after each epoch.
    package init(
        _ series: SnapshotSeries, _ plan: TrainingPlan, graph: ModelDocument.GraphSource? = nil,
        device: TorchDevice = .cpu,
        checkpoints: DurableFolder?,
        observe: @escaping (Observation) -> Void = { _ in }, shouldStop: @escaping () -> Bool = { false }
    ) {
        self.series = series
        self.plan = plan
        source = graph
        self.device = device
        self.checkpoints = checkpoints
        self.observe = observe
        self.shouldStop = shouldStop
    }

    /// - Throws: ``TrainingError``; `stopped` when it was asked to stop, with a checkpoint written.
    package func run() throws(TrainingError) -> ModelArtifacts {
        let data = try PreparedData(series, plan)
        let samples = data.outcomes.returns[data.parts.training].joined().count(where: \.isFinite)
        observe(.prepared(data.parts, samples: samples))
        let specification = plan.specification(series.columns)
        let graph = try fit(TrainingReport.graphNetwork, specification, data, usesEdges: true)
        let alone = try fit(TrainingReport.withoutEdges, specification, data, usesEdges: false)
        let document = document(specification, data, graph)
        let model = try GraphModel(document, graph.best, device: device)
        let other = try GraphModel(document, alone.best, device: device)
        let testing = TestRun(series: series, data: data, task: plan.task.kind)
        let linear = Baselines(data, plan.task.kind).linear()
        let majority = Baselines(data, plan.task.kind).majority
        let predictions = [
            (TrainingReport.graphNetwork, testing.predictions(try model.outputs(testing.snapshots))),
            (
                TrainingReport.withoutEdges,
                testing.predictions(try other.outputs(Array(data.withoutEdges[data.parts.test])))
            ),
            (TrainingReport.linear, testing.predictions(testing.snapshots.map(linear))),
            (TrainingReport.majority, testing.predictions(testing.snapshots.map(majority))),
        ]
        let report = report(predictions, data, graph)
        return try ModelArtifacts(
            document: document, weights: graph.best, report: report,
            histories: [
                (TrainingReport.graphNetwork, graph.progress.history),
                (TrainingReport.withoutEdges, alone.progress.history),
            ],
            example: series.snapshots[data.parts.test.lowerBound], columns: series.columns, model: model)
    }

    // MARK: Fits

    /// Tells trainings apart: the same one has the same result.
    ///
    /// - Returns: 16 hexadecimal digits.
    package static func runDigest(_ series: SnapshotSeries, _ plan: TrainingPlan) -> String {
        var digest = ContentDigest(series)
        digest.add("\(plan)")
        digest.add(Torch.version)
        return digest.hexadecimal
    }

    /// The files that a run keeps in its folder for checkpoints.
    package static let checkpointNames = [TrainingReport.graphNetwork, TrainingReport.withoutEdges].map(
        checkpointName)

    private static func checkpointName(_ fit: String) -> String { "\(fit).checkpoint" }

    private var runDigest: String { Self.runDigest(series, plan) }

    private func fit(
        _ name: String, _ specification: NetworkSpecification, _ data: PreparedData, usesEdges: Bool
    ) throws(TrainingError) -> NetworkFit {
        let identity = "\(name)-\(runDigest)"
        let file = Self.checkpointName(name)
        let fitData = data.fitData(usesEdges: usesEdges, identity: identity)
        func begin(_ checkpoint: FitCheckpoint?) throws(TrainingError) -> NetworkFit {
            try NetworkFit(
                specification, plan.task.kind, fitData, plan.fit, device: device, checkpoint: checkpoint)
        }
        var fit = try begin(nil)
        do throws(TrainingError) {
            if let bytes = try checkpoints?.read(file) {
                fit = try begin(try FitCheckpoint(decoding: bytes))
                observe(.resumed(fit: name, epochsDone: fit.progress.epochsDone))
            }
        } catch {
            // One that cannot be used, or of another plan, costs only time.
            guard error.code == .storage else { throw error }
            observe(.checkpointUnusable(fit: name, detail: error.detail))
        }
        while !fit.isOver {
            let record = try fit.runEpoch()
            let isStopping = shouldStop()
            if isStopping || fit.isOver || record.epoch.isMultiple(of: plan.fit.checkpointEvery) {
                try checkpoints?.write(file, try fit.checkpoint().encoded())
            }
            observe(.epochEnded(fit: name, record))
            if isStopping { throw TrainingError(.stopped, "after epoch \(record.epoch) of \(name)") }
        }
        observe(.fitEnded(fit: name, bestEpoch: Self.bestEpoch(fit)))
        return fit
    }

    private static func bestEpoch(_ fit: NetworkFit) -> Int {
        fit.progress.history.last(where: \.isBest)?.epoch ?? 0
    }

    // MARK: Documents

    private func document(
        _ specification: NetworkSpecification, _ data: PreparedData, _ fit: NetworkFit
    ) -> ModelDocument {
        let symbols = Set(series.snapshots.flatMap(\.symbols)).sorted()
        return ModelDocument(
            task: plan.task.kind, horizonMilliseconds: plan.task.horizon, deadBand: data.deadBand,
            outcomeScale: data.outcomeScale,
            classes: plan.task.kind == .direction ? Direction.allCases.map(\.name) : [],
            columns: series.columns,
            architecture: specification, scaler: data.scaler, edgeScaler: data.edgeScaler,
            provenance: ModelDocument.Provenance(
                dataDigest: ContentDigest(series).hexadecimal, runDigest: runDigest,
                firstTime: series.times.first ?? 0, lastTime: series.times.last ?? 0,
                snapshots: series.snapshots.count, trainingSnapshots: data.parts.training.count,
                validationSnapshots: data.parts.validation.count, testSnapshots: data.parts.test.count,
                symbols: symbols, seed: plan.fit.seed, bestEpoch: Self.bestEpoch(fit),
                libtorchVersion: Torch.version, device: "\(device)"), graph: source)
    }

    private func report(
        _ predictions: [(name: String, of: [SnapshotPredictions])], _ data: PreparedData, _ fit: NetworkFit
    ) -> TrainingReport {
        let isDirection = plan.task.kind == .direction
        let evaluations = predictions.map { ($0.name, Evaluation($0.of, meanReturn: data.meanReturn)) }
        let snapshots = predictions.first?.of ?? []
        let steps = zip(series.times, series.times.dropFirst()).map { $1 - $0 }.min() ?? 1
        let overlap = Int((Double(plan.task.horizon) / Double(steps)).rounded(.up))
        let block = BlockBootstrap.blockLength(snapshots: snapshots.count, overlap: overlap)
        let comparison = Comparison(
            evaluations, snapshots: snapshots.count, blockLength: block, bootstrap: plan.bootstrap)
        let metric: Metric = isDirection ? .auc : .informationCoefficient
        let difference = comparison.differences[TrainingReport.withoutEdges]?[metric]
        let verdict = TrainingReport.verdict(difference)
        let missing = zip(
            data.scaler.names + data.edgeScaler.names,
            data.scaler.missingShares + data.edgeScaler.missingShares)
        return TrainingReport(
            task: plan.task.kind,
            models: zip(evaluations, predictions).map { evaluated, predicted in
                let (name, evaluation) = evaluated
                let counts = evaluation.confusion
                let rows = (0..<counts.classes).map { row in (0..<counts.classes).map { counts[row, $0] } }
                return TrainingReport.Model(
                    name: name, metrics: comparison.measured[name] ?? [:],
                    confusion: isDirection ? rows : nil, calibration: Calibration(predicted.of))
            },
            differences: evaluations.dropFirst().map {
                TrainingReport.Difference(from: $0.0, metrics: comparison.differences[$0.0] ?? [:])
            },
            graph: verdict, verdictMetric: metric,
            summary: TrainingReport.summary(verdict, metric, difference),
            classes: isDirection ? Direction.allCases.map(\.name) : [],
            classCounts: isDirection ? data.classCounts : [],
            classWeights: isDirection ? data.classWeights : [],
            deadBand: data.deadBand, testSnapshots: snapshots.count,
            testSamples: snapshots.reduce(0) { $0 + $1.returns.count }, snapshotsLeftOut: data.parts.leftOut,
            bestEpoch: Self.bestEpoch(fit), epochs: fit.progress.epochsDone,
            constantColumns: data.constantColumns,
            missingShares: Dictionary(
                missing.filter { $0.1 > 0 }, uniquingKeysWith: { first, _ in first }),
            bootstrap: plan.bootstrap, blockLength: block)
    }
}

/// The test part, with what was to be predicted.
private struct TestRun {
    let series: SnapshotSeries
    let data: PreparedData
    let task: LearningTask.Kind

    var snapshots: [PreparedSnapshot] { Array(data.snapshots[data.parts.test]) }

    /// Leaves out nodes whose outcome is not known, and snapshots without any.
    ///
    /// - Parameter outputs: for each snapshot of the test part the probabilities or returns, row by row.
    func predictions(_ outputs: [[Double]]) -> [SnapshotPredictions] {
        zip(data.parts.test, outputs).compactMap { place, outputs in
            let snapshot = series.snapshots[place]
            let returns = data.outcomes.returns[place]
            let known = returns.indices.filter { returns[$0].isFinite }
            guard !known.isEmpty else { return nil }
            var predictions = SnapshotPredictions(
                time: snapshot.time, symbols: known.map { snapshot.symbols[$0] },
                returns: known.map { returns[$0] })
            if task == .direction {
                let width = Direction.allCases.count
                predictions.probabilities = known.map { Array(outputs[$0 * width..<($0 + 1) * width]) }
                predictions.classes = known.compactMap {
                    Direction(returns[$0], band: data.deadBand).map { Int($0.rawValue) }
                }
            } else {
                predictions.predictedReturns = known.map { outputs[$0] }
            }
            return predictions
        }
    }
}
