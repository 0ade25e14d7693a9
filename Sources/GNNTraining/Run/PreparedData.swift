package import GraphLearning

/// A series made ready to be learned from. Whatever is estimated (scales, dead band, class weights) comes from the
/// training part alone.
package struct PreparedData: Sendable {
    package let parts: TimeSplit.Parts
    package let scaler: ColumnScaler
    package let edgeScaler: ColumnScaler
    package let deadBand: Double
    /// What returns are divided by for training: their standard deviation in the training part.
    package let outcomeScale: Double
    /// Of the training part's known returns.
    package let meanReturn: Double
    package let classCounts: [Int]
    package let classWeights: [Double]
    package let constantColumns: [String]
    package let snapshots: [PreparedSnapshot]
    /// The same snapshots, each node with itself only.
    package let withoutEdges: [PreparedSnapshot]
    package let outcomes: Outcomes

    /// - Throws: ``TrainingError``: `badPlan`, or `badData` when a part has no known outcome.
    package init(_ series: SnapshotSeries, _ plan: TrainingPlan) throws(TrainingError) {
        if let fault = plan.fault { throw TrainingError(.badPlan, fault) }
        let horizon = plan.task.horizon
        guard let parts = plan.split.parts(times: series.times, horizon: horizon) else {
            throw TrainingError(
                .badData,
                "\(series.snapshots.count) snapshots are too few for training, validation and test with "
                    + "a horizon of \(horizon) ms and an embargo of \(plan.split.embargo) ms")
        }
        let outcomes = Outcomes(series, horizon: horizon)
        for (name, part) in [
            ("training", parts.training), ("validation", parts.validation), ("test", parts.test),
        ] {
            guard outcomes.returns[part].joined().contains(where: \.isFinite) else {
                throw TrainingError(
                    .badData,
                    "no snapshot of the \(name) part has one exactly \(horizon) ms after it with prices")
            }
        }
        let training = series.snapshots[parts.training]
        let known = outcomes.returns[parts.training].joined().filter(\.isFinite)
        var moments = RunningMoments()
        for value in known { moments.add(value) }
        let deadBand = plan.task.deadBand.width(training: known)
        let counts = Direction.allCases.map { kind in
            known.reduce(0) { $0 + (Direction($1, band: deadBand) == kind ? 1 : 0) }
        }
        scaler = ColumnScaler(series.columns.features, training: training.lazy.map(\.features))
        edgeScaler = ColumnScaler(series.columns.edgeFeatures, training: training.lazy.map(\.edges.features))
        constantColumns =
            scaler.constant(in: training.lazy.map(\.features))
            + edgeScaler.constant(in: training.lazy.map(\.edges.features))
        outcomeScale = moments.deviation > 0 ? moments.deviation : 1
        meanReturn = moments.mean
        classCounts = counts
        classWeights = plan.classWeighting.weights(counts: counts)
        self.parts = parts
        self.deadBand = deadBand
        self.outcomes = outcomes
        let (scaler, edgeScaler, scale) = (scaler, edgeScaler, outcomeScale)
        func prepared(usesEdges: Bool) -> [PreparedSnapshot] {
            zip(series.snapshots, outcomes.returns).map { snapshot, returns in
                var prepared = PreparedSnapshot(
                    snapshot, scaler: scaler, edgeScaler: edgeScaler, usesEdges: usesEdges)
                if plan.task.kind == .direction {
                    prepared.classes = returns.map { Direction($0, band: deadBand)?.rawValue ?? -1 }
                } else {
                    prepared.outcomes = returns.map { Float($0 / scale) }
                }
                return prepared
            }
        }
        snapshots = prepared(usesEdges: true)
        withoutEdges = prepared(usesEdges: false)
    }

    package func fitData(usesEdges: Bool, identity: String) -> NetworkFit.Data {
        let all = usesEdges ? snapshots : withoutEdges
        return NetworkFit.Data(
            training: Array(all[parts.training]), validation: Array(all[parts.validation]),
            classWeights: classWeights, identity: identity)
    }
}
