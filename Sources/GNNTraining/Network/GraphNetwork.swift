internal import GraphLearning
package import TorchBridge

/// Layers of GATv2 and a linear head; docs/model.md has the formulas.
package struct GraphNetwork {
    package enum Mode: Sendable, Equatable {
        case inference
        /// With dropout drawn from this seed.
        case training(seed: UInt64)
    }

    package let parameters: ParameterSet
    /// Made of libtorch's operations throughout, for comparison; see ``GraphAttention``.
    package var isComposed = false

    private var specification: NetworkSpecification { parameters.specification }

    package init(_ parameters: ParameterSet) {
        self.parameters = parameters
    }

    /// - Returns: [nodes, outputs], before any softmax.
    package func callAsFunction(_ batch: BatchTensors, _ mode: Mode) throws(TorchError) -> Tensor {
        var hidden = batch.features
        for index in specification.layers.indices { hidden = try layer(index, hidden, batch, mode) }
        return try hidden.linear(weight: try parameters["head.weight"], bias: try parameters["head.bias"])
    }

    private func layer(
        _ index: Int, _ inputs: Tensor, _ batch: BatchTensors, _ mode: Mode
    ) throws(TorchError) -> Tensor {
        let layer = specification.layers[index]
        let prefix = "layers.\(index)"
        let x = try dropped(
            inputs, specification.dropout, mode, purpose: UInt64(2 * index), rows: batch.graph.nodeCount,
            device: batch.device)
        var attention = GraphAttention(
            source: try linear(x, "\(prefix).source"), target: try linear(x, "\(prefix).target"),
            attention: try parameters["\(prefix).attention"])
        if let features = batch.edgeFeatures {
            attention.edgeFeatures = features
            attention.edgeWeight = try parameters["\(prefix).edge.weight"]
        }
        attention.slope = specification.slope
        if case .training(let seed) = mode, specification.attentionDropout > 0 {
            attention.mask = try .dropoutMask(
                rows: batch.graph.edgeCount, columns: layer.heads,
                probability: specification.attentionDropout,
                seed: SeededRandom.seed(seed, UInt64(2 * index + 1)), device: batch.device)
        }
        var hidden = try attention(batch.graph, composed: isComposed)
        if layer.join == .mean { hidden = try hidden.meanOfHeads(layer.heads) }
        hidden = try hidden.adding(try parameters["\(prefix).bias"])
        hidden = try normalised(hidden, prefix, batch)
        hidden = specification.activation == .elu ? try hidden.elu() : try hidden.relu()
        guard specification.isResidual else { return hidden }
        return try hidden.adding(
            x.shape == hidden.shape
                ? x : try x.linear(weight: try parameters["\(prefix).residual.weight"], bias: nil))
    }

    private func linear(_ x: Tensor, _ name: String) throws(TorchError) -> Tensor {
        try x.linear(weight: try parameters["\(name).weight"], bias: try parameters["\(name).bias"])
    }

    private func normalised(_ x: Tensor, _ prefix: String, _ batch: BatchTensors) throws(TorchError) -> Tensor
    {
        switch specification.norm {
        case .none: return x
        case .layer:
            return try x.layerNorm(
                weight: try parameters["\(prefix).norm.weight"], bias: try parameters["\(prefix).norm.bias"])
        case .graph:
            return try x.graphNorm(
                part: batch.parts, parts: batch.partCount, weight: try parameters["\(prefix).norm.weight"],
                bias: try parameters["\(prefix).norm.bias"],
                meanScale: try parameters["\(prefix).norm.mean_scale"])
        }
    }

    private func dropped(
        _ x: Tensor, _ probability: Double, _ mode: Mode, purpose: UInt64, rows: Int, device: TorchDevice
    ) throws(TorchError) -> Tensor {
        guard case .training(let seed) = mode, probability > 0 else { return x }
        return try x.multiplied(
            by: try .dropoutMask(
                rows: rows, columns: x.shape[1], probability: probability,
                seed: SeededRandom.seed(seed, purpose), device: device))
    }
}
