import Foundation
import GraphLearning
import TestSupport
import Testing

/// Against scikit-learn, scipy and numpy.
@Suite(.timeLimit(.minutes(5)))
struct ReferenceTests {
    struct Snapshot: Encodable {
        var scores: [Double]
        var returns: [Double]
    }

    struct Input: Encodable {
        var classes: [Int]
        var probabilities: [[Double]]
        var weights: [Double]
        var snapshots: [Snapshot]
        /// How often each snapshot counts.
        var resamples: [[Double]]
        var x: [Double]
        var y: [Double]
        /// Each a 32-bit number, as the libraries get it too.
        var rows: [[Double]]
        var rowClasses: [Int]
        var classWeights: [Double]
    }

    struct Output: Decodable {
        var measures: [String: Double]
        var weightedArea: Double
        var intervals: [String: [Double]]
        var calibration: [[[Double]]]
        var calibrationError: Double
        var pearson: Double
        var spearman: Double
        var ranks: [Double]
        var quantiles: [Double]
        var mean: Double
        var deviation: Double
        var r2: Double
        var squaredError: Double
        var logistic: [Double]
        var ridge: [Double]
    }

    private static let classWeights = [1.5, 0.5, 1.25]

    private static let bootstrap = {
        var bootstrap = BlockBootstrap()
        bootstrap.resamples = 80
        return bootstrap
    }()

    @Test(
        .enabled(if: ReferencePython.isWanted, "\(ReferencePython.skipReason)"), arguments: [11, 12, 13])
    func `measures, intervals and baselines equal scikit-learn's, scipy's and numpy's`(
        seed: UInt64
    ) async throws {
        let predictions = Self.predictions(snapshots: 40, nodes: 11, seed: seed)
        let input = Self.input(predictions)
        let script = try #require(Bundle.module.path(forResource: "metrics_reference", ofType: "py"))
        let expected: Output = try await ReferencePython.run(script, input)

        let evaluation = Evaluation(predictions)
        let values = evaluation.values()
        #expect(expected.measures.count == 6 && values.count == 6)
        for (name, value) in expected.measures {
            let metric = try #require(Metric(rawValue: name))
            expectClose(values[metric], value)
        }
        let weighted = evaluation.values(weights: (0..<40).map { Double($0 % 3) })
        expectClose(weighted[.auc], expected.weightedArea)

        expectIntervals(evaluation, expected)
        expectCalibration(try #require(Calibration(predictions)), expected)

        let (x, y) = (input.x, input.y)
        expectClose(Correlation.pearson(x, y), expected.pearson)
        expectClose(Correlation.spearman(x, y), expected.spearman)
        #expect(Correlation.ranks(x) == expected.ranks)
        for (share, value) in zip([0, 0.025, 1.0 / 3, 0.5, 0.975, 1], expected.quantiles) {
            expectClose(Quantiles.quantile(share, of: y), value)
        }
        var moments = RunningMoments()
        for value in y { moments.add(value) }
        #expect(abs(moments.mean - expected.mean) < 1e-9)
        #expect(abs(moments.deviation - expected.deviation) < 1e-9)
        expectReturns(input, expected, mean: moments.mean)
        expectBaselines(input, expected)
    }

    private func expectClose(
        _ value: Double?, _ expected: Double, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(abs((value ?? .nan) - expected) < 1e-9, sourceLocation: location)
    }

    private func expectIntervals(_ evaluation: Evaluation, _ expected: Output) {
        let comparison = Comparison(
            [("model", evaluation)], snapshots: 40, blockLength: 4, bootstrap: Self.bootstrap)
        #expect(expected.intervals.count == 6)
        for (name, ends) in expected.intervals {
            let interval = Metric(rawValue: name).flatMap { comparison.measured["model"]?[$0]?.interval }
            expectClose(interval?.low, ends[0])
            expectClose(interval?.high, ends[1])
        }
    }

    private func expectCalibration(_ calibration: Calibration, _ expected: Output) {
        for (bins, points) in zip(calibration.bins, expected.calibration) {
            #expect(bins.count == points.count)
            for (bin, point) in zip(bins, points) {
                expectClose(bin.meanProbability, point[0])
                expectClose(bin.shareRight, point[1])
            }
        }
        expectClose(calibration.error, expected.calibrationError)
    }

    private func expectReturns(_ input: Input, _ expected: Output, mean: Double) {
        let predictions = SnapshotPredictions(
            time: 0, symbols: [], predictedReturns: input.x, returns: input.y)
        let values = Evaluation([predictions], meanReturn: mean).values()
        expectClose(values[.loss], expected.squaredError)
        expectClose(values[.r2], expected.r2)
        expectClose(values[.informationCoefficient], expected.spearman)
    }

    private func expectBaselines(_ input: Input, _ expected: Output) {
        let width = input.rows[0].count
        let rows = input.rows.flatMap { $0.map { Float($0) } }
        let logistic = LogisticRegression(
            LogisticRegression.Samples(
                rows: rows, classes: input.rowClasses, classWeights: Self.classWeights),
            classes: 3, features: width, penalty: 2)
        #expect(logistic.isConverged)
        let probabilities = input.rows.flatMap { logistic.probabilities($0.map { Float($0) }[...]) }
        #expect(zip(probabilities, expected.logistic).allSatisfy { abs($0 - $1) < 1e-8 })
        let ridge = RidgeRegression(
            rows: rows, outcomes: Array(input.y.prefix(input.rows.count)), features: width, penalty: 3)
        let returns = input.rows.map { ridge.prediction($0.map { Float($0) }[...]) }
        #expect(zip(returns, expected.ridge).allSatisfy { abs($0 - $1) < 1e-9 })
    }

    static func predictions(snapshots: Int, nodes: Int, seed: UInt64 = 11) -> [SnapshotPredictions] {
        var random = SeededRandom(seed)
        return (0..<snapshots).map { index in
            var given = SnapshotPredictions(time: Int64(index), symbols: [], returns: [])
            for node in 0..<nodes {
                let value = Double.random(in: -1...1, using: &random)
                // Ties: a tenth of a probability is the smallest difference.
                let noisy = value + Double.random(in: -1...1, using: &random)
                let up = (min(max(noisy, 0), 1) * 5).rounded() / 10
                let down = (min(max(-noisy, 0), 1) * 5).rounded() / 10
                given.symbols.append("\(node)")
                given.probabilities.append([down, 1 - up - down, up])
                given.returns.append((value * 20).rounded() / 20)
                given.classes.append(value > 0.2 ? 2 : value < -0.4 ? 0 : 1)
            }
            return given
        }
    }

    private static func input(_ predictions: [SnapshotPredictions]) -> Input {
        var random = SeededRandom(5)
        let y = (0..<120).map { _ in Double.random(in: -1...1, using: &random) }
        let x = y.map { (($0 + Double.random(in: -1...1, using: &random)) * 8).rounded() / 8 }
        let rows = (0..<90).map { _ in (0..<4).map { _ in Double(Float.random(in: -2...2, using: &random)) } }
        let rowClasses = rows.map { row in
            row[0] + Double.random(in: -1...1, using: &random) > 0.5 ? 2 : row[1] > 0 ? 1 : 0
        }
        return Input(
            classes: predictions.flatMap(\.classes), probabilities: predictions.flatMap(\.probabilities),
            weights: predictions.enumerated().flatMap { index, given in
                given.classes.map { _ in Double(index % 3) }
            },
            snapshots: predictions.map { Snapshot(scores: $0.scores, returns: $0.returns) },
            resamples: bootstrap.weights(snapshots: predictions.count, blockLength: 4), x: x, y: y,
            rows: rows, rowClasses: rowClasses, classWeights: classWeights)
    }
}
