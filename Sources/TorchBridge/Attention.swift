internal import CTorch

/// The edges of a graph, or of several side by side, as the attention reads them.
package final class TorchGraph {
    let handle: OpaquePointer
    package let nodeCount: Int
    package let edgeCount: Int

    /// - Parameters:
    ///   - targets: in rising order; an edge's features come in the same order.
    ///   - sources: as many.
    /// - Throws: when an edge's end is no node, or the order is another.
    package init(
        nodeCount: Int, sources: [Int32], targets: [Int32], device: TorchDevice = .cpu
    ) throws(TorchError) {
        guard sources.count == targets.count else {
            throw TorchError(
                operation: "make a graph", detail: "\(sources.count) sources, but \(targets.count) targets")
        }
        var handle: OpaquePointer?
        try check(
            "make a graph",
            ctorch_graph_new(
                Int64(nodeCount), Int64(sources.count), sources, targets, device.number, &handle))
        guard let handle else { throw TorchError(operation: "make a graph", detail: "libtorch gave none") }
        self.handle = handle
        self.nodeCount = nodeCount
        edgeCount = sources.count
    }

    deinit { ctorch_graph_free(handle) }
}

/// GATv2's attention (Brody, Alon, Yahav 2021) with edge features; docs/model.md has the formulas.
///
/// Dimensions: N nodes, E edges, H heads, C channels of a head, D features of an edge.
package struct GraphAttention {
    /// What the sources' features became, [N, H·C]: also what is summed up.
    package var source: Tensor
    /// What the targets' features became, [N, H·C].
    package var target: Tensor
    /// [E, D], in the graph's order of edges.
    package var edgeFeatures: Tensor?
    /// [H·C, D]; with `edgeFeatures` or not at all.
    package var edgeWeight: Tensor?
    /// [H, C].
    package var attention: Tensor
    /// [E, H]: dropout of the coefficients.
    package var mask: Tensor?
    /// The LeakyReLU's slope below 0.
    package var slope = 0.2

    package init(source: Tensor, target: Tensor, attention: Tensor) {
        self.source = source
        self.target = target
        self.attention = attention
    }

    /// - Parameter composed: made of libtorch's own operations, which run on every device and differentiate
    ///   themselves. Otherwise one loop over the edges on the CPU, several times as fast.
    /// - Returns: [N, H·C]; 0 for a node without incoming edges.
    package func callAsFunction(_ graph: TorchGraph, composed: Bool = false) throws(TorchError) -> Tensor {
        var input = ctorch_attention_input()
        input.graph = graph.handle
        input.source = source.handle
        input.target = target.handle
        input.features = edgeFeatures?.handle
        input.edge_weight = edgeWeight?.handle
        input.attention = attention.handle
        input.mask = mask?.handle
        input.slope = slope
        input.composed = composed ? 1 : 0
        return try withExtendedLifetime(self) { () throws(TorchError) in
            try take("graph attention") { ctorch_attention(&input, $0) }
        }
    }
}
