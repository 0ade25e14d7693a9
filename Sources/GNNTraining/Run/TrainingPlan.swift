package import GraphLearning

/// Everything that a training run decides beforehand.
package struct TrainingPlan: Sendable, Equatable {
    package var task: LearningTask
    package var split = TimeSplit()
    package var classWeighting = ClassWeighting.balanced
    package var fit = FitSettings()
    package var bootstrap = BlockBootstrap()
    package var layers = [
        NetworkSpecification.Layer(heads: 4, channels: 16),
        NetworkSpecification.Layer(heads: 4, channels: 16),
    ]
    package var activation = NetworkSpecification.Activation.elu
    package var norm = NetworkSpecification.Norm.layer
    package var isResidual = true
    package var dropout = 0.1
    package var attentionDropout = 0.0

    package init(task: LearningTask) {
        self.task = task
    }

    package func specification(_ columns: SnapshotColumns) -> NetworkSpecification {
        var specification = NetworkSpecification(
            inputs: columns.features.count, edgeInputs: columns.edgeFeatures.count, layers: layers,
            outputs: task.outputs)
        specification.activation = activation
        specification.norm = norm
        specification.isResidual = isResidual
        specification.dropout = dropout
        specification.attentionDropout = attentionDropout
        return specification
    }

    /// What is wrong with it; nil when nothing is.
    package var fault: String? {
        if task.horizon < 1 { return "a horizon of \(task.horizon) ms; it must be above 0" }
        switch task.deadBand {
        case .fixed(let width) where !(width >= 0 && width.isFinite):
            return "a dead band of \(width); it may not be negative"
        case .trainingQuantile(let share) where !(0...1).contains(share):
            return "a dead band at the quantile \(share); it must be 0...1"
        default: break
        }
        if case .given(let weights) = classWeighting,
            weights.count != Direction.allCases.count || !weights.allSatisfy({ $0 >= 0 && $0.isFinite })
                || weights.allSatisfy({ $0 == 0 })
        {
            return "class weights \(weights); three numbers, none negative and not all 0, are needed"
        }
        return split.fault ?? fit.fault
    }
}
