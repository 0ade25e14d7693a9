import GraphLearning
import Testing

struct TrainingRuleTests {
    @Test func `batches hold every snapshot once, in an order by seed and epoch alone`() {
        var settings = FitSettings()
        settings.batchSnapshots = 4
        let batches = settings.batches(of: 10, epoch: 3)
        #expect(batches.map(\.count) == [4, 4, 2])
        #expect(batches.flatMap { $0 }.sorted() == Array(0..<10))
        #expect(settings.batches(of: 10, epoch: 3) == batches)
        #expect(settings.batches(of: 10, epoch: 4) != batches)
        settings.seed = 2
        #expect(settings.batches(of: 10, epoch: 3) != batches)
    }

    @Test func `the rate rises evenly and falls along a cosine`() {
        var schedule = LearningRateSchedule()
        schedule.warmupShare = 0.2
        schedule.finalShare = 0.1
        #expect(schedule.share(step: 0, of: 20) == 0.25)
        #expect(schedule.share(step: 3, of: 20) == 1)
        #expect(schedule.share(step: 4, of: 20) == 1)
        #expect(abs(schedule.share(step: 12, of: 20) - 0.55) < 1e-12)
        #expect(abs(schedule.share(step: 20, of: 20) - 0.1) < 1e-12)
        schedule.shape = .constant
        #expect(schedule.share(step: 12, of: 20) == 1)
        schedule.warmupShare = 1.5
        #expect(schedule.fault != nil)
    }

    @Test func `a fit stops after as many epochs without a better loss as its patience`() {
        var stopping = EarlyStopping(patience: 2, improvementMin: 0.1)
        #expect(stopping.judge(1) == .best)
        #expect(stopping.judge(0.95) == .goOn, "too little")
        #expect(stopping.judge(0.8) == .best)
        #expect(stopping.judge(.nan) == .goOn)
        #expect(stopping.judge(0.9) == .stop)
        #expect(stopping.bestLoss == 0.8)
    }

    @Test func `balanced weights count each class alike`() {
        #expect(ClassWeighting.balanced.weights(counts: [2, 4, 6]) == [2, 1, 12.0 / 18])
        #expect(ClassWeighting.balanced.weights(counts: [0, 4, 4])[0] == 0)
        #expect(ClassWeighting.even.weights(counts: [2, 4, 6]) == [1, 1, 1])
        #expect(ClassWeighting.given([1, 2, 3]).weights(counts: [2, 4, 6]) == [1, 2, 3])
    }

    @Test func `a network's weights begin the same for the same seed, within Glorot's bound`() throws {
        var specification = NetworkSpecification(
            inputs: 5, edgeInputs: 2,
            layers: [.init(heads: 2, channels: 3), .init(heads: 2, channels: 6, join: .mean)], outputs: 3)
        specification.norm = .graph
        #expect(specification.fault == nil)
        let names = specification.parameters.map(\.name)
        #expect(names.count == 23 && Set(names).count == 23)
        // The second layer's output is as wide as its input: nothing to project.
        #expect(names.contains("layers.0.residual.weight") && !names.contains("layers.1.residual.weight"))
        let start = specification.start(seed: 1)
        #expect(start == specification.start(seed: 1) && start != specification.start(seed: 2))
        #expect(start[0].allSatisfy { abs($0) <= Float((6.0 / 11).squareRoot()) })
        specification.layers[0].channels = 0
        #expect(specification.fault == "a layer of 2 × 0; the product must be 1...4096")
    }

    @Test func `a confidence interval of a mean holds it about as often as it says`() throws {
        var random = SeededRandom(3)
        var held = 0
        for run in 0..<200 {
            let values = (0..<60).map { _ in Double.random(in: -1...1, using: &random) }
            var bootstrap = BlockBootstrap()
            bootstrap.resamples = 200
            bootstrap.seed = UInt64(run)
            let means = bootstrap.weights(snapshots: 60, blockLength: 1).map { weights in
                zip(values, weights).reduce(0) { $0 + $1.0 * $1.1 } / 60
            }
            let interval = try #require(bootstrap.interval(means))
            if interval.low <= 0, interval.high >= 0 { held += 1 }
        }
        // 95 % of 200 is 190; the percentiles of 60 values are a little narrow.
        #expect((178...199).contains(held), "\(held) of 200")
    }

    @Test func `blocks of neighbours are drawn, as many snapshots as there are`() {
        var bootstrap = BlockBootstrap()
        bootstrap.resamples = 20
        for weights in bootstrap.weights(snapshots: 10, blockLength: 4) {
            #expect(weights.reduce(0, +) == 10)
        }
        #expect(BlockBootstrap.blockLength(snapshots: 1_000, overlap: 3) == 10)
        #expect(BlockBootstrap.blockLength(snapshots: 1_000, overlap: 24) == 24)
        #expect(BlockBootstrap.blockLength(snapshots: 2, overlap: 24) == 2)
        #expect(bootstrap.interval([1, nil, nil]) == nil)
    }

    @Test func `differences are made from the same resamples`() {
        let predictions = ReferenceTests.predictions(snapshots: 30, nodes: 6)
        let evaluation = Evaluation(predictions)
        var bootstrap = BlockBootstrap()
        bootstrap.resamples = 50
        let comparison = Comparison(
            [("a", evaluation), ("b", evaluation)], snapshots: 30, blockLength: 3, bootstrap: bootstrap)
        for measured in (comparison.differences["b"] ?? [:]).values {
            #expect(measured == Measured(value: 0, interval: ConfidenceInterval(low: 0, high: 0)))
        }
        #expect(comparison.differences["a"] == nil)
        #expect(comparison.measured["a"]?.count == 6)
        #expect(comparison.measured["a"]?[.auc]?.interval != nil)
    }
}
