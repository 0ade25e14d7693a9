import GraphLearning
import Testing

struct DataTests {
    private static let hour: Int64 = 3_600_000

    private static func snapshot(_ hours: Int64, prices: [Double] = [1, 2], edges: SnapshotEdges? = nil)
        -> GraphSnapshot
    {
        GraphSnapshot(
            time: hours * hour, symbols: ["A", "B"], features: [1, 2, 3, 4], prices: prices,
            edges: edges ?? SnapshotEdges(sources: [0], targets: [1], features: [0.5]))
    }

    private static let columns = SnapshotColumns(features: ["x", "y"], edgeFeatures: ["weight"])

    @Test func `a snapshot that does not fit is refused with the reason`() throws {
        var series = try SnapshotSeries(columns: Self.columns)
        try series.append(Self.snapshot(1))
        var wrong = Self.snapshot(1)
        #expect(refusal(&series, wrong) == "snapshot at 3600000: it does not come after 3600000")
        wrong = Self.snapshot(2)
        wrong.features = [1]
        #expect(refusal(&series, wrong) == "snapshot at 7200000: 1 values of features, not 2 × 2")
        wrong = Self.snapshot(2)
        wrong.symbols = ["A", "A"]
        #expect(refusal(&series, wrong) == "snapshot at 7200000: a symbol is there twice")
        wrong = Self.snapshot(2, edges: SnapshotEdges(sources: [0], targets: [2], features: [1]))
        #expect(
            refusal(&series, wrong) == "snapshot at 7200000: an edge has an end that is none of the 2 nodes")
        wrong = Self.snapshot(2, edges: SnapshotEdges(sources: [0], targets: [1], features: []))
        #expect(refusal(&series, wrong) == "snapshot at 7200000: 0 values of edge features, not 1 × 1")
        #expect(series.snapshots.count == 1)
        #expect(throws: SnapshotError.self) {
            try SnapshotSeries(columns: SnapshotColumns(features: ["x", "x"], edgeFeatures: []))
        }
        #expect(throws: SnapshotError.self) {
            try SnapshotSeries(columns: SnapshotColumns(features: [], edgeFeatures: []))
        }
    }

    private func refusal(_ series: inout SnapshotSeries, _ snapshot: GraphSnapshot) -> String? {
        do throws(SnapshotError) {
            try series.append(snapshot)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func `an outcome is the return to the snapshot exactly at the horizon, by symbol`() throws {
        var later = Self.snapshot(3, prices: [4, .nan])
        later.symbols = ["B", "C"]
        let series = try SnapshotSeries(columns: Self.columns, [Self.snapshot(1), Self.snapshot(2), later])
        let outcomes = Outcomes(series, horizon: 2 * Self.hour)
        #expect(outcomes.returns[0][0].isNaN, "A is not there later")
        #expect(abs(outcomes.returns[0][1] - 0.6931471805599453) < 1e-15)
        #expect(outcomes.returns[1].allSatisfy { $0.isNaN }, "no snapshot is 2 hours after it")
    }

    @Test func `directions have a dead band and unknown returns none`() {
        #expect(Direction(0.01, band: 0.01) == .flat)
        #expect(Direction(0.011, band: 0.01) == .up)
        #expect(Direction(-0.011, band: 0.01) == .down)
        #expect(Direction(.nan, band: 0.01) == nil)
        #expect(DeadBand.fixed(0.5).width(training: [9]) == 0.5)
        #expect(DeadBand.trainingQuantile(0.5).width(training: [-1, .nan, 2, 3]) == 2)
    }

    @Test func `an earlier part ends where its outcomes are known before the next begins`() throws {
        var split = TimeSplit()
        split.trainingShare = 0.5
        split.validationShare = 0.3
        split.embargo = 2 * Self.hour
        let times = (0..<20).map { Int64($0) * Self.hour }
        let parts = try #require(split.parts(times: times, horizon: 3 * Self.hour))
        // Validation begins at 10 h: 5 h + 3 h + 2 h is the last that fits.
        #expect(parts.training == 0..<6)
        #expect(parts.validation == 10..<12)
        #expect(parts.test == 16..<20)
        #expect(parts.leftOut == 8)
        for (early, late) in [(parts.training, parts.validation), (parts.validation, parts.test)] {
            #expect(times[early.upperBound - 1] + 3 * Self.hour + split.embargo <= times[late.lowerBound])
        }
        #expect(split.parts(times: Array(times.prefix(8)), horizon: 3 * Self.hour) == nil)
        #expect(split.parts(times: [], horizon: 1) == nil)
        split.validationShare = 0.5
        #expect(split.fault != nil)
    }

    @Test func `columns are scaled by the training part and unknown values become the mean`() {
        let scaler = ColumnScaler(["a", "b", "c"], training: [[1, 5, .nan], [3, 5, .nan]])
        #expect(scaler.means == [2, 5, 0])
        #expect(scaler.deviations == [1, 1, 1])
        #expect(scaler.missingShares == [0, 0, 1])
        #expect(scaler.scaled([4, 6, .nan, .nan, 5, 1e9]) == [2, 1, 0, 0, 0, 10])
        #expect(scaler.constant(in: [[1, 5, .nan], [3, 5, .nan]]) == ["b", "c"])
        #expect(ColumnScaler([], training: [[Float]]()).scaled([]) == [])
    }

    @Test func `edges lie in order of target and each node has one to itself with the mean of the others`() {
        let edges = SnapshotEdges(
            sources: [1, 2, 0, 2], targets: [2, 0, 2, 2], features: [1, 2, 3, 9])
        let snapshot = GraphSnapshot(
            time: 0, symbols: ["A", "B", "C"], features: [1, 2, 3], prices: [1, 1, 1], edges: edges)
        let identity = ColumnScaler(["x"], training: [[-1], [1]])
        let prepared = PreparedSnapshot(snapshot, scaler: identity, edgeScaler: identity)
        #expect(prepared.sources == [2, 0, 1, 1, 0, 2])
        #expect(prepared.targets == [0, 0, 1, 2, 2, 2])
        // The edge of C to itself was replaced.
        #expect(prepared.edgeFeatures == [2, 2, 0, 1, 3, 2])
        let alone = PreparedSnapshot(snapshot, scaler: identity, edgeScaler: identity, usesEdges: false)
        #expect(alone.sources == [0, 1, 2] && alone.targets == [0, 1, 2])
        #expect(alone.edgeFeatures == [0, 0, 0])
    }

    @Test func `a batch has its snapshots side by side`() {
        let scaler = ColumnScaler(["x"], training: [[-1], [1]])
        let snapshot = GraphSnapshot(
            time: 0, symbols: ["A", "B"], features: [1, 2], prices: [1, 1],
            edges: SnapshotEdges(sources: [0], targets: [1], features: [4]))
        let prepared = PreparedSnapshot(snapshot, scaler: scaler, edgeScaler: scaler)
        let batch = GraphBatch([prepared, prepared])
        #expect(batch.nodeCount == 4 && batch.partCount == 2)
        #expect(batch.parts == [0, 0, 1, 1])
        #expect(batch.targets == [0, 1, 1, 2, 3, 3])
        #expect(batch.sources == [0, 0, 1, 2, 2, 3])
        #expect(!batch.isLabelled)
    }
}
