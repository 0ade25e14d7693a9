package import GraphLearning
package import TorchBridge

/// What training makes small: the class-weighted negative log-likelihood, or Huber's loss of the scaled returns.
package struct TrainingLoss {
    /// A batch's right answers, and how much they count together.
    package struct Target {
        /// The sum of the weights of the nodes with a known outcome: losses of batches are averaged by it.
        package let weight: Double
        fileprivate let classes: Tensor?
        fileprivate let outcomes: (values: Tensor, mask: Tensor)?
    }

    private let kind: LearningTask.Kind
    private let classWeights: [Double]
    private let weights: Tensor?

    /// - Parameter classWeights: one a class; not used for returns.
    package init(_ kind: LearningTask.Kind, classWeights: [Double], device: TorchDevice) throws(TorchError) {
        self.kind = kind
        self.classWeights = classWeights
        weights =
            kind == .direction
            ? try Tensor(classWeights.map { Float($0) }, shape: [classWeights.count], device: device) : nil
    }

    package func target(_ batch: GraphBatch, device: TorchDevice) throws(TorchError) -> Target {
        switch kind {
        case .direction:
            let weight = batch.classes.reduce(0.0) { $1 < 0 ? $0 : $0 + classWeights[Int($1)] }
            let classes = try Tensor(batch.classes, shape: [batch.nodeCount], device: device)
            return Target(weight: weight, classes: classes, outcomes: nil)
        case .logReturn:
            let mask = batch.outcomes.map { $0.isFinite ? Float(1) : 0 }
            let values = batch.outcomes.map { $0.isFinite ? $0 : 0 }
            let shape = [batch.nodeCount, 1]
            return Target(
                weight: Double(mask.reduce(0, +)), classes: nil,
                outcomes: (
                    try Tensor(values, shape: shape, device: device),
                    try Tensor(mask, shape: shape, device: device)
                ))
        }
    }

    /// - Parameter outputs: the network's.
    package func callAsFunction(_ outputs: Tensor, _ target: Target) throws(TorchError) -> Tensor {
        if let classes = target.classes {
            return try outputs.logSoftmax().negativeLogLikelihood(classes, weights: weights)
        }
        guard let outcomes = target.outcomes else {
            throw TorchError(operation: "calculate a loss", detail: "there is nothing to compare with")
        }
        return try outputs.huberLoss(outcomes.values, mask: outcomes.mask)
    }
}
