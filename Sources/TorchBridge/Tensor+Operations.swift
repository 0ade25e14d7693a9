internal import CTorch

/// Operations, each recorded for gradients unless ``Torch/withoutGradients(_:)`` is around it.
extension Tensor {
    package func adding(_ other: Tensor) throws(TorchError) -> Tensor {
        try take("add") { ctorch_add(handle, other.handle, $0) }
    }

    /// Element by element.
    package func multiplied(by other: Tensor) throws(TorchError) -> Tensor {
        try take("multiply") { ctorch_multiply(handle, other.handle, $0) }
    }

    /// Of all elements.
    package func sum() throws(TorchError) -> Tensor {
        try take("sum") { ctorch_sum(handle, $0) }
    }

    /// x Wᵀ + b.
    ///
    /// - Parameter weight: [outputs, inputs].
    package func linear(weight: Tensor, bias: Tensor?) throws(TorchError) -> Tensor {
        try take("linear") { ctorch_linear(handle, weight.handle, bias?.handle, $0) }
    }

    package func relu() throws(TorchError) -> Tensor {
        try take("relu") { ctorch_relu(handle, $0) }
    }

    package func elu() throws(TorchError) -> Tensor {
        try take("elu") { ctorch_elu(handle, $0) }
    }

    /// Over the last dimension.
    package func logSoftmax() throws(TorchError) -> Tensor {
        try take("log softmax") { ctorch_log_softmax(handle, $0) }
    }

    /// The mean over the heads of [nodes, heads × channels]: [nodes, channels].
    package func meanOfHeads(_ heads: Int) throws(TorchError) -> Tensor {
        try take("mean of heads") { ctorch_mean_heads(handle, Int64(heads), $0) }
    }

    /// Layer normalisation of each row (Ba, Kiros, Hinton 2016).
    package func layerNorm(weight: Tensor, bias: Tensor) throws(TorchError) -> Tensor {
        try take("layer norm") { ctorch_layer_norm(handle, weight.handle, bias.handle, $0) }
    }

    /// GraphNorm (Cai et al. 2021): each feature over the nodes of each part of a batch.
    ///
    /// - Parameter part: for each row the number of its part, as 64-bit integers, under `parts`.
    package func graphNorm(
        part: Tensor, parts: Int, weight: Tensor, bias: Tensor, meanScale: Tensor
    ) throws(TorchError) -> Tensor {
        try take("graph norm") {
            ctorch_graph_norm(
                handle, part.handle, Int64(parts), weight.handle, bias.handle, meanScale.handle, $0)
        }
    }

    /// The weighted mean of −log p of the right class; this tensor holds log p.
    ///
    /// - Parameters:
    ///   - classes: 64-bit integers; −1 for a row that does not count.
    ///   - weights: one a class; nil counts all alike.
    package func negativeLogLikelihood(_ classes: Tensor, weights: Tensor?) throws(TorchError) -> Tensor {
        try take("negative log-likelihood") {
            ctorch_nll_loss(handle, classes.handle, weights?.handle, $0)
        }
    }

    /// Huber's loss with δ = 1, the mean over the elements whose mask is 1.
    package func huberLoss(_ target: Tensor, mask: Tensor) throws(TorchError) -> Tensor {
        try take("huber loss") { ctorch_huber_loss(handle, target.handle, mask.handle, $0) }
    }

    /// A mask to multiply with: 0 with `probability`, else 1 / (1 − probability). It depends on nothing but its
    /// arguments, so a run that goes on from a checkpoint draws what an uninterrupted one does.
    ///
    /// - Parameter probability: from 0 to less than 1.
    package static func dropoutMask(
        rows: Int, columns: Int, probability: Double, seed: UInt64, type: TensorType = .float32,
        device: TorchDevice
    ) throws(TorchError) -> Tensor {
        try take("dropout mask") {
            ctorch_dropout_mask(
                Int64(rows), Int64(columns), probability, seed, ctorch_type(UInt32(type.rawValue)),
                device.number, $0)
        }
    }
}
