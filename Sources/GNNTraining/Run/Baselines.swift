internal import GraphLearning

/// What a model must beat: they know the same training part and nothing of the graph.
struct Baselines {
    private let data: PreparedData
    private let task: LearningTask.Kind
    private let features: Int

    init(_ data: PreparedData, _ task: LearningTask.Kind) {
        self.data = data
        self.task = task
        features = data.scaler.names.count
    }

    /// The shares of the classes in the training part, or its mean return, whatever the features say.
    func majority(_ snapshot: PreparedSnapshot) -> [Double] {
        guard task == .direction else {
            return [Double](repeating: data.meanReturn, count: snapshot.nodeCount)
        }
        let total = Double(max(data.classCounts.reduce(0, +), 1))
        let shares = data.classCounts.map { Double($0) / total }
        return (0..<snapshot.nodeCount).flatMap { _ in shares }
    }

    /// Logistic regression of the classes, or linear regression of the returns, on a node's own features.
    func linear() -> (PreparedSnapshot) -> [Double] {
        var rows: [Float] = []
        var classes: [Int] = []
        var outcomes: [Double] = []
        for place in data.parts.training {
            let snapshot = data.snapshots[place]
            for (node, outcome) in data.outcomes.returns[place].enumerated() where outcome.isFinite {
                rows.append(contentsOf: snapshot.features[node * features..<(node + 1) * features])
                outcomes.append(outcome)
                if let direction = Direction(outcome, band: data.deadBand) {
                    classes.append(Int(direction.rawValue))
                }
            }
        }
        let features = features
        if task == .direction {
            let model = LogisticRegression(
                LogisticRegression.Samples(rows: rows, classes: classes, classWeights: data.classWeights),
                classes: Direction.allCases.count, features: features)
            return { snapshot in
                (0..<snapshot.nodeCount).flatMap {
                    model.probabilities(snapshot.features[$0 * features..<($0 + 1) * features])
                }
            }
        }
        let model = RidgeRegression(rows: rows, outcomes: outcomes, features: features)
        return { snapshot in
            (0..<snapshot.nodeCount).map {
                model.prediction(snapshot.features[$0 * features..<($0 + 1) * features])
            }
        }
    }
}
