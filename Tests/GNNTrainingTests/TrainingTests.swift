import Foundation
import GNNTraining
import GraphLearning
import Synchronization
import Testing
import TorchBridge

/// Whole runs on a made-up market.
@Suite(.timeLimit(.minutes(5)))
struct TrainingTests {
    static func plan(epochs: Int = 6) -> TrainingPlan {
        var plan = TrainingPlan(task: LearningTask(.direction, horizon: SyntheticMarket.step))
        plan.layers = [.init(heads: 2, channels: 8)]
        plan.fit.epochsMax = epochs
        plan.fit.learningRate = 0.01
        plan.bootstrap.resamples = 60
        return plan
    }

    static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "training-\(UUID().uuidString)")
            .path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test func `the graph helps where returns follow the neighbours', and the report says so`() throws {
        var market = SyntheticMarket()
        market.snapshots = 400
        let artifacts = try ModelTrainer(
            try market.series(), Self.plan(epochs: 25), checkpoints: nil
        ).run()
        let report = artifacts.report
        #expect(report.graph == .helps, "\(report.summary)")
        #expect(report.models.map(\.name) == ["gatv2", "gatv2_without_edges", "linear", "majority"])
        let auc = report.models.compactMap { $0.metrics[.auc]?.value }
        #expect(auc.count == 4 && auc[0] > 0.6 && auc[3] == 0.5, "\(auc)")
        #expect(report.classCounts.allSatisfy { $0 > 0 })
        #expect(report.testSamples == report.testSnapshots * market.nodes)
        for model in report.models {
            let total = try #require(model.confusion).joined().reduce(0, +)
            #expect(Int(total) == report.testSamples)
        }
    }

    @Test func `without influence the report does not say that the graph helps`() throws {
        var market = SyntheticMarket()
        market.influence = 0
        let report = try ModelTrainer(try market.series(), Self.plan(), checkpoints: nil).run().report
        #expect(report.graph != .helps, "\(report.summary)")
        #expect(report.summary.hasPrefix("It is not shown") || report.graph == .harms)
    }

    @Test func `returns are learned too`() throws {
        var plan = Self.plan(epochs: 15)
        plan.task = LearningTask(.logReturn, horizon: SyntheticMarket.step)
        plan.norm = .graph
        let artifacts = try ModelTrainer(try SyntheticMarket().series(), plan, checkpoints: nil).run()
        let model = try #require(artifacts.report.models.first)
        #expect(try #require(model.metrics[.informationCoefficient]).value > 0.3)
        #expect(model.metrics[.accuracy] == nil && model.confusion == nil)
        #expect(artifacts.report.verdictMetric == .informationCoefficient)
        #expect(artifacts.document.outcomeScale > 0)
    }

    /// What is learned and chosen before the test part begins must not change with what comes in it.
    @Test func `nothing before the test part depends on it`() throws {
        let series = try SyntheticMarket().series()
        let plan = Self.plan()
        let data = try PreparedData(series, plan)
        var random = SeededRandom(1)
        var shuffled = series.snapshots
        let test = data.parts.test
        let order = Array(test).shuffled(using: &random)
        for (place, from) in zip(test, order) {
            shuffled[place].features = series.snapshots[from].features.map { -3 * $0 }
            // Its first prices are known at the moment when the validation part's last outcomes are.
            if place > test.lowerBound {
                shuffled[place].prices = series.snapshots[from].prices.shuffled(using: &random)
            }
            shuffled[place].edges = SnapshotEdges()
        }
        let other = try SnapshotSeries(columns: series.columns, shuffled)
        let otherData = try PreparedData(other, plan)
        #expect(otherData.scaler == data.scaler && otherData.edgeScaler == data.edgeScaler)
        #expect(otherData.deadBand == data.deadBand && otherData.classWeights == data.classWeights)
        let known = 0..<data.parts.validation.upperBound
        #expect(known.allSatisfy { otherData.snapshots[$0] == data.snapshots[$0] })
        let ours = try ModelTrainer(series, plan, checkpoints: nil).run()
        let theirs = try ModelTrainer(other, plan, checkpoints: nil).run()
        let weights = ModelArtifacts.weightsName
        #expect(ours.files[weights] == theirs.files[weights], "the same weights, byte for byte")
        let history = ModelArtifacts.historyName
        #expect(text(ours.files[history]) == text(theirs.files[history]))
        #expect(ours.report != theirs.report)
    }

    private func text(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }

    @Test func `scales come from the training part alone`() throws {
        let series = try SyntheticMarket().series()
        let plan = Self.plan()
        let data = try PreparedData(series, plan)
        var changed = series.snapshots
        for place in data.parts.training.upperBound..<changed.count {
            changed[place].features = changed[place].features.map { $0 * 100 + 5 }
        }
        let other = try PreparedData(try SnapshotSeries(columns: series.columns, changed), plan)
        #expect(other.scaler == data.scaler)
        #expect(data.parts.training.allSatisfy { other.snapshots[$0] == data.snapshots[$0] })
    }

    @Test func `a stopped run goes on from its checkpoint to the same bytes`() throws {
        let series = try SyntheticMarket().series()
        var plan = Self.plan()
        plan.attentionDropout = 0.2
        let calm = try ModelTrainer(series, plan, checkpoints: nil).run()
        try Self.withFolder { folder in
            let checkpoints = try DurableFolder(folder)
            var runs = 0
            while true {
                runs += 1
                try #require(runs < 40)
                // After every epoch it is asked to stop.
                let trainer = ModelTrainer(
                    series, plan, checkpoints: checkpoints, shouldStop: { runs < 30 })
                do {
                    let artifacts = try trainer.run()
                    #expect(artifacts.files == calm.files)
                    break
                } catch let error as TrainingError {
                    try #require(error.code == .stopped, "\(error)")
                }
            }
            #expect(runs == 13, "one a stop of 12 epochs, and one that had nothing left to do")
        }
    }

    @Test func `a damaged or foreign checkpoint is told and begun anew`() throws {
        let series = try SyntheticMarket().series()
        let plan = Self.plan(epochs: 2)
        let calm = try ModelTrainer(series, plan, checkpoints: nil).run()
        try Self.withFolder { folder in
            let checkpoints = try DurableFolder(folder)
            _ = try ModelTrainer(series, Self.plan(epochs: 3), checkpoints: checkpoints).run()
            try checkpoints.write("gatv2_without_edges.checkpoint", [1, 2, 3])
            var told: [String] = []
            let trainer = ModelTrainer(series, plan, checkpoints: checkpoints) {
                if case .checkpointUnusable(let fit, _) = $0 { told.append(fit) }
            }
            #expect(try trainer.run().files == calm.files)
            #expect(told == ["gatv2", "gatv2_without_edges"])
        }
    }

    @Test func `a model is read back and says the same`() throws {
        let series = try SyntheticMarket().series()
        let artifacts = try ModelTrainer(series, Self.plan(), checkpoints: nil).run()
        try Self.withFolder { folder in
            let path = folder + "/model"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try artifacts.write(to: path)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model"])
            #expect(throws: TrainingError.self) { try artifacts.write(to: path) }
            func bytes(_ name: String) throws -> [UInt8] {
                [UInt8](try Data(contentsOf: URL(filePath: "\(path)/\(name)")))
            }
            let model = try GraphModel(
                documentJSON: try bytes("model.json"), weights: try bytes("model.safetensors"))
            #expect(model.document == artifacts.document)
            let snapshot = try #require(series.snapshots.last)
            let predictions = try model.predict(snapshot, series.columns)
            #expect(predictions.map(\.symbol) == snapshot.symbols)
            #expect(predictions.allSatisfy { abs($0.probabilities.reduce(0, +) - 1) < 1e-5 })
            let other = SnapshotColumns(features: ["a"], edgeFeatures: [])
            let error = #expect(throws: TrainingError.self) { try model.predict(snapshot, other) }
            #expect(error?.code == .badData)
            #expect(throws: TrainingError.self) {
                try GraphModel(
                    documentJSON: try bytes("model.json"), weights: try bytes("example.json"))
            }
        }
    }

    @Test func `what cannot be learned is refused with the reason`() throws {
        let series = try SyntheticMarket().series()
        func refusal(_ series: SnapshotSeries, _ change: (inout TrainingPlan) -> Void) -> TrainingError? {
            var plan = Self.plan()
            change(&plan)
            do throws(TrainingError) {
                _ = try ModelTrainer(series, plan, checkpoints: nil).run()
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal(series) { $0.task.horizon = 0 }?.code == .badPlan)
        #expect(refusal(series) { $0.task.horizon = 1 }?.code == .badData)
        #expect(refusal(series) { $0.split.trainingShare = 1 }?.code == .badPlan)
        #expect(refusal(series) { $0.classWeighting = .given([1, 2]) }?.code == .badPlan)
        #expect(refusal(series) { $0.layers = [] }?.code == .badPlan)
        #expect(refusal(series) { $0.split.embargo = 1_000_000_000_000 }?.code == .badData)
        #expect(
            refusal(series) {
                $0.fit.learningRate = 1e30
                $0.fit.gradientNormMax = 0
            }?.code == .diverged)
        let few = try SnapshotSeries(columns: series.columns, Array(series.snapshots.prefix(3)))
        #expect(refusal(few) { _ in }?.code == .badData)
    }
}
