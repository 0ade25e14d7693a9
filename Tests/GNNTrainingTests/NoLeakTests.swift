import GNNTraining
import GraphLearning
import Testing

/// What is estimated and learned before a border is made of what was known before it, whatever comes then.
@Suite(.timeLimit(.minutes(5)))
struct NoLeakTests {
    struct Case: Sendable, CustomTestStringConvertible {
        /// Both in snapshots.
        var horizon: Int
        var embargo: Int
        var testDescription: String { "horizon \(horizon), embargo \(embargo)" }

        func plan(_ kind: LearningTask.Kind = .direction) -> TrainingPlan {
            var plan = TrainingTests.plan(epochs: 2)
            plan.task = LearningTask(kind, horizon: Int64(horizon) * SyntheticMarket.step)
            plan.split.embargo = Int64(embargo) * SyntheticMarket.step
            return plan
        }
    }

    static let cases = [
        Case(horizon: 1, embargo: 0), Case(horizon: 1, embargo: 3), Case(horizon: 4, embargo: 0),
        Case(horizon: 4, embargo: 2),
    ]

    /// Prices, features and edges are others from `first` on.
    private func changed(_ series: SnapshotSeries, from first: Int, seed: UInt64 = 1) throws -> SnapshotSeries
    {
        var random = SeededRandom(seed)
        var snapshots = series.snapshots
        let order = Array(first..<snapshots.count).shuffled(using: &random)
        for (place, from) in zip(first..<snapshots.count, order) {
            let other = series.snapshots[from]
            snapshots[place].features = other.features.map { -3 * $0 + 1 }
            snapshots[place].prices = other.prices.shuffled(using: &random).map { $0 * 1.5 }
            snapshots[place].edges = SnapshotEdges()
        }
        return try SnapshotSeries(columns: series.columns, snapshots)
    }

    private func expectSame(_ data: PreparedData, _ other: PreparedData, _ known: Range<Int>) {
        #expect(other.parts == data.parts)
        #expect(other.scaler == data.scaler && other.edgeScaler == data.edgeScaler)
        #expect(other.deadBand == data.deadBand && other.outcomeScale == data.outcomeScale)
        #expect(other.meanReturn == data.meanReturn && other.classCounts == data.classCounts)
        #expect(other.classWeights == data.classWeights && other.constantColumns == data.constantColumns)
        for place in known {
            #expect(other.snapshots[place] == data.snapshots[place])
            #expect(other.withoutEdges[place] == data.withoutEdges[place])
            #expect(other.outcomes.returns[place] == data.outcomes.returns[place])
        }
    }

    @Test(arguments: cases, [LearningTask.Kind.direction, .logReturn])
    func `the training part knows nothing that comes after its last outcome`(
        given: Case, kind: LearningTask.Kind
    ) throws {
        let series = try SyntheticMarket().series()
        let plan = given.plan(kind)
        let data = try PreparedData(series, plan)
        // Its last outcome is known at this snapshot, and what lies between that and the next part is the embargo.
        let last = data.parts.training.upperBound - 1 + given.horizon
        #expect(last + given.embargo <= data.parts.validation.lowerBound)
        expectSame(
            data, try PreparedData(try changed(series, from: last + 1), plan), data.parts.training)
        // One snapshot earlier it is a change: or else nothing was tested.
        let other = try PreparedData(try changed(series, from: last), plan)
        #expect(other.outcomes.returns[data.parts.training] != data.outcomes.returns[data.parts.training])
    }

    @Test(arguments: cases)
    func `the parts lie as far from each other as horizon and embargo say, and no further`(
        given: Case
    ) throws {
        let data = try PreparedData(try SyntheticMarket().series(), given.plan())
        let gap = given.horizon + given.embargo
        for (earlier, later) in [
            (data.parts.training, data.parts.validation), (data.parts.validation, data.parts.test),
        ] {
            #expect(earlier.upperBound - 1 + gap == later.lowerBound)
        }
        #expect(data.parts.leftOut == 2 * (gap - 1))
    }

    @Test(arguments: [Case(horizon: 1, embargo: 0), Case(horizon: 3, embargo: 2)])
    func `weights and history are the same bytes, whatever the test part holds`(given: Case) throws {
        let series = try SyntheticMarket().series()
        let plan = given.plan()
        let data = try PreparedData(series, plan)
        let last = data.parts.validation.upperBound - 1 + given.horizon
        let other = try changed(series, from: last + 1)
        expectSame(data, try PreparedData(other, plan), 0..<data.parts.validation.upperBound)
        let ours = try ModelTrainer(series, plan, checkpoints: nil).run()
        let theirs = try ModelTrainer(other, plan, checkpoints: nil).run()
        for name in [ModelArtifacts.weightsName, ModelArtifacts.historyName] {
            #expect(ours.files[name] == theirs.files[name], "\(name)")
        }
        #expect(ours.report != theirs.report, "the measures are of the test part")
    }
}
