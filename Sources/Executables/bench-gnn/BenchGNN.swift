internal import Foundation
internal import GNNTraining
internal import GraphLearning
internal import TorchBridge

/// Epochs of a two-layer GATv2 on a random graph, timed: our side of scripts/bench-gnn.
///
/// usage: bench-gnn THREADS CHANNELS EPOCHS; prints the median seconds of an epoch, and the last loss.
@main
struct BenchGNN {
    private static let nodes = 1_000
    private static let edges = 20_000
    private static let features = 32
    private static let edgeFeatures = 3
    private static let warmup = 5

    static func main() throws {
        let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        guard numbers.count == 3, numbers.allSatisfy({ $0 > 0 }) else {
            FileHandle.standardError.write(Data("usage: bench-gnn THREADS CHANNELS EPOCHS\n".utf8))
            exit(2)
        }
        try Torch.setThreads(numbers[0])
        var specification = NetworkSpecification(
            inputs: features, edgeInputs: edgeFeatures,
            layers: [.init(heads: 4, channels: numbers[1]), .init(heads: 4, channels: numbers[1])], outputs: 3
        )
        specification.norm = .none
        specification.isResidual = false
        specification.dropout = 0
        let (seconds, loss) = try measure(specification, epochs: numbers[2])
        let sorted = seconds.dropFirst(warmup).sorted()
        print(sorted[sorted.count / 2], loss)
    }

    private static func measure(
        _ specification: NetworkSpecification, epochs: Int
    ) throws -> (seconds: [Double], loss: Float) {
        var random = SeededRandom(1)
        var batch = GraphBatch([])
        batch.nodeCount = nodes
        batch.features = (0..<nodes * features).map { _ in Float.random(in: -1...1, using: &random) }
        batch.targets = (0..<edges).map { _ in Int32.random(in: 0..<Int32(nodes), using: &random) }.sorted()
        batch.sources = (0..<edges).map { _ in Int32.random(in: 0..<Int32(nodes), using: &random) }
        batch.edgeFeatures = (0..<edges * edgeFeatures).map { _ in Float.random(in: -1...1, using: &random) }
        batch.classes = (0..<nodes).map { _ in Int64.random(in: 0..<3, using: &random) }
        batch.parts = [Int64](repeating: 0, count: nodes)
        batch.partCount = 1
        let parameters = try ParameterSet(specification, specification.start(seed: 1), device: .cpu)
        let network = GraphNetwork(parameters)
        let optimizer = try AdamOptimizer(parameters.tensors)
        let loss = try TrainingLoss(.direction, classWeights: [1, 1, 1], device: .cpu)
        let tensors = try BatchTensors(batch, specification, device: .cpu)
        let target = try loss.target(batch, device: .cpu)
        var seconds: [Double] = []
        var last: Float = 0
        for _ in 0..<(epochs + warmup) {
            let start = ContinuousClock.now
            let value = try loss(try network(tensors, .training(seed: 1)), target)
            try optimizer.clearGradients()
            try value.backward()
            try optimizer.step(rate: 0.001)
            last = try value.value(Float.self)
            seconds.append((ContinuousClock.now - start) / .seconds(1))
        }
        return (seconds, last)
    }
}
