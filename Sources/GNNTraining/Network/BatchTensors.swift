package import GraphLearning
package import TorchBridge

/// A batch on the device where the network is.
package struct BatchTensors {
    package let graph: TorchGraph
    package let device: TorchDevice
    package let partCount: Int
    let features: Tensor
    let edgeFeatures: Tensor?
    let parts: Tensor

    package init(_ batch: GraphBatch, _ specification: NetworkSpecification, device: TorchDevice)
        throws(TorchError)
    {
        graph = try TorchGraph(
            nodeCount: batch.nodeCount, sources: batch.sources, targets: batch.targets, device: device)
        features = try Tensor(
            batch.features, shape: [batch.nodeCount, specification.inputs], device: device)
        edgeFeatures =
            specification.edgeInputs == 0
            ? nil
            : try Tensor(
                batch.edgeFeatures, shape: [batch.sources.count, specification.edgeInputs], device: device)
        parts = try Tensor(batch.parts, shape: [batch.nodeCount], device: device)
        partCount = batch.partCount
        self.device = device
    }
}
