import TorchBridge

/// A random graph with all inputs of an attention.
struct AttentionFixture: Sendable {
    struct Values: Encodable, Sendable {
        var shape: [Int]
        var values: [Double]
    }

    /// What the reference program reads.
    struct Input: Encodable {
        var double: Bool
        var slope: Double
        var sources: [Int32]
        var targets: [Int32]
        var tensors: [String: Values]
        var outWeights: [Double]
    }

    static let names = ["source", "target", "features", "edgeWeight", "attention"]

    var nodeCount = 30
    var heads = 3
    var channels = 5
    var features = 2
    var sources: [Int32] = []
    var targets: [Int32] = []
    var tensors: [String: Values] = [:]
    var outWeights: [Double] = []

    init(features: Int = 2, dropout: Bool = false, channels: Int = 5, seed: UInt64 = 1) {
        var random = SeededNumbers(seed)
        self.features = features
        self.channels = channels
        let width = heads * channels
        // The last node has no incoming edge.
        targets = (0..<170).map { _ in Int32(random.below(nodeCount - 1)) }.sorted()
        sources = targets.map { _ in Int32(random.below(nodeCount)) }
        func values(_ shape: Int...) -> Values {
            Values(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in random.normal() })
        }
        tensors["source"] = values(nodeCount, width)
        tensors["target"] = values(nodeCount, width)
        tensors["attention"] = values(heads, channels)
        if features > 0 {
            tensors["features"] = values(sources.count, features)
            tensors["edgeWeight"] = values(width, features)
        }
        if dropout {
            var mask = values(sources.count, heads)
            mask.values = mask.values.map { $0 < -0.5 ? 0 : 1.5 }
            tensors["mask"] = mask
        }
        outWeights = values(nodeCount, width).values
    }

    func input(double: Bool, slope: Double) -> Input {
        Input(
            double: double, slope: slope, sources: sources, targets: targets, tensors: tensors,
            outWeights: outWeights)
    }

    /// The output and the gradients of its sum, weighted by `outWeights`.
    func results<Value: TensorValue & BinaryFloatingPoint>(
        _: Value.Type, composed: Bool, slope: Double = 0.2, device: TorchDevice = .cpu
    ) throws -> [String: [Double]] {
        let (attention, made) = try attention(Value.self, slope: slope, device: device)
        let graph = try TorchGraph(nodeCount: nodeCount, sources: sources, targets: targets, device: device)
        let out = try attention(graph, composed: composed)
        let weights = try Tensor(
            outWeights.map { Value($0) }, shape: [nodeCount, heads * channels], device: device)
        try out.multiplied(by: weights).sum().backward()
        var results = ["out": try out.values(Value.self).map(Double.init)]
        for (name, tensor) in made where name != "mask" {
            results[name] = try tensor.gradient?.values(Value.self).map(Double.init)
        }
        return results
    }

    func attention<Value: TensorValue & BinaryFloatingPoint>(
        _: Value.Type, slope: Double = 0.2, device: TorchDevice = .cpu
    ) throws -> (GraphAttention, [String: Tensor]) {
        var made: [String: Tensor] = [:]
        for (name, entry) in tensors {
            let tensor = try Tensor(entry.values.map { Value($0) }, shape: entry.shape, device: device)
            if name != "mask" { try tensor.requireGradient() }
            made[name] = tensor
        }
        guard let source = made["source"], let target = made["target"], let weights = made["attention"] else {
            preconditionFailure("the fixture always has them")
        }
        var attention = GraphAttention(source: source, target: target, attention: weights)
        attention.edgeFeatures = made["features"]
        attention.edgeWeight = made["edgeWeight"]
        attention.mask = made["mask"]
        attention.slope = slope
        return (attention, made)
    }
}

/// Repeatable random numbers.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }

    /// About normal: the sum of twelve even ones.
    mutating func normal() -> Double {
        (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &self) }
    }
}
