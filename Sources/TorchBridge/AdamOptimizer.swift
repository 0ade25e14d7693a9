internal import CTorch

/// Adam (Kingma, Ba 2015) or AdamW (Loshchilov, Hutter 2019) over parameters of one type and device.
package final class AdamOptimizer {
    package struct Settings: Sendable, Equatable {
        package var beta1 = 0.9
        package var beta2 = 0.999
        package var epsilon = 1e-8
        package var weightDecay = 0.01
        /// AdamW: the decay shrinks the weights themselves; otherwise it is added to the gradient.
        package var isDecoupled = true

        package init() {}
    }

    /// What a checkpoint keeps beside the parameters.
    package let firstMoments: [Tensor]
    package let secondMoments: [Tensor]
    package var stepCount = 0

    private let parameters: [Tensor]
    private let settings: Settings

    package init(_ parameters: [Tensor], _ settings: Settings = Settings()) throws(TorchError) {
        self.parameters = parameters
        self.settings = settings
        var moments: [Tensor] = []
        for parameter in parameters + parameters {
            moments.append(
                parameter.type == .float64
                    ? try .zeros(parameter.shape, of: Double.self, device: parameter.device)
                    : try .zeros(parameter.shape, of: Float.self, device: parameter.device))
        }
        firstMoments = Array(moments.prefix(parameters.count))
        secondMoments = Array(moments.suffix(parameters.count))
    }

    /// One step of all parameters that have a gradient.
    package func step(rate: Double) throws(TorchError) {
        stepCount += 1
        var adam = ctorch_adam()
        adam.rate = rate
        adam.beta1 = settings.beta1
        adam.beta2 = settings.beta2
        adam.epsilon = settings.epsilon
        adam.weight_decay = settings.weightDecay
        adam.step = Int64(stepCount)
        adam.decoupled = settings.isDecoupled ? 1 : 0
        let count = Int32(parameters.count)
        try check(
            "take a step",
            ctorch_adam_step(
                parameters.map(\.optional), firstMoments.map(\.optional), secondMoments.map(\.optional),
                count,
                &adam))
    }

    package func clearGradients() throws(TorchError) {
        for parameter in parameters { try parameter.clearGradient() }
    }

    /// Scales all gradients so that their common Euclidean norm is at most `normMax`.
    ///
    /// - Returns: the norm before.
    package func clipGradients(normMax: Double) throws(TorchError) -> Double {
        var norm = 0.0
        let count = Int32(parameters.count)
        try check(
            "clip gradients", ctorch_clip_gradients(parameters.map(\.optional), count, normMax, &norm))
        return norm
    }
}

extension Tensor {
    fileprivate var optional: OpaquePointer? { handle }
}
