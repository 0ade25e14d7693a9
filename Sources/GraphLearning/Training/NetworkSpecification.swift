/// The shape of a graph network: everything that the weights alone do not say.
package struct NetworkSpecification: Sendable, Equatable, Codable {
    package enum Activation: String, Sendable, Codable { case relu, elu }
    package enum Norm: String, Sendable, Codable { case none, layer, graph }
    /// How a layer's heads become one row.
    package enum HeadJoin: String, Sendable, Codable { case concatenate, mean }

    package struct Layer: Sendable, Equatable, Codable {
        package var heads: Int
        /// Of one head.
        package var channels: Int
        package var join: HeadJoin

        package init(heads: Int, channels: Int, join: HeadJoin = .concatenate) {
            self.heads = heads
            self.channels = channels
            self.join = join
        }

        package var width: Int { heads * channels }
        package var outputs: Int { join == .mean ? channels : width }
    }

    package var inputs: Int
    package var edgeInputs: Int
    package var layers: [Layer]
    /// Three classes, or one return.
    package var outputs: Int
    package var activation = Activation.elu
    package var norm = Norm.layer
    package var isResidual = true
    /// Of each layer's input.
    package var dropout = 0.1
    /// Of the attention's coefficients.
    package var attentionDropout = 0.0
    /// The LeakyReLU's inside the attention.
    package var slope = 0.2

    package init(inputs: Int, edgeInputs: Int, layers: [Layer], outputs: Int) {
        self.inputs = inputs
        self.edgeInputs = edgeInputs
        self.layers = layers
        self.outputs = outputs
    }

    package static let layersMax = 16
    package static let widthMax = 4_096

    /// What is wrong with it; nil when nothing is.
    package var fault: String? {
        guard (1...Self.layersMax).contains(layers.count) else {
            return "\(layers.count) layers; 1...\(Self.layersMax) are possible"
        }
        for layer in layers where layer.heads < 1 || layer.channels < 1 || layer.width > Self.widthMax {
            return "a layer of \(layer.heads) × \(layer.channels); the product must be 1...\(Self.widthMax)"
        }
        guard inputs > 0, edgeInputs >= 0, outputs > 0 else {
            return "\(inputs) inputs, \(edgeInputs) edge inputs, \(outputs) outputs"
        }
        guard (0..<1).contains(dropout), (0..<1).contains(attentionDropout) else {
            return "dropout \(dropout) and \(attentionDropout); both must be from 0 to less than 1"
        }
        return nil
    }

    /// A parameter of the network and how it begins.
    package struct Parameter: Sendable, Equatable {
        package enum Start: Sendable, Equatable {
            case zeros, ones
            /// Even in ± √(6 / (fan in + fan out)) (Glorot, Bengio 2010).
            case glorot
        }
        package var name: String
        package var shape: [Int]
        package var start: Start

        package var count: Int { shape.reduce(1, *) }
    }

    /// All parameters in the order of the artifact.
    package var parameters: [Parameter] {
        var parameters: [Parameter] = []
        func add(_ name: String, _ shape: [Int], _ start: Parameter.Start) {
            parameters.append(Parameter(name: name, shape: shape, start: start))
        }
        var inputs = inputs
        for (index, layer) in layers.enumerated() {
            let prefix = "layers.\(index)"
            for end in ["source", "target"] {
                add("\(prefix).\(end).weight", [layer.width, inputs], .glorot)
                add("\(prefix).\(end).bias", [layer.width], .zeros)
            }
            if edgeInputs > 0 { add("\(prefix).edge.weight", [layer.width, edgeInputs], .glorot) }
            add("\(prefix).attention", [layer.heads, layer.channels], .glorot)
            add("\(prefix).bias", [layer.outputs], .zeros)
            if norm != .none {
                add("\(prefix).norm.weight", [layer.outputs], .ones)
                add("\(prefix).norm.bias", [layer.outputs], .zeros)
            }
            if norm == .graph { add("\(prefix).norm.mean_scale", [layer.outputs], .ones) }
            if isResidual, inputs != layer.outputs {
                add("\(prefix).residual.weight", [layer.outputs, inputs], .glorot)
            }
            inputs = layer.outputs
        }
        add("head.weight", [outputs, inputs], .glorot)
        add("head.bias", [outputs], .zeros)
        return parameters
    }

    /// The values that all parameters begin with, for a seed.
    package func start(seed: UInt64) -> [[Float]] {
        var random = SeededRandom(SeededRandom.seed(seed, 1))
        return parameters.map { parameter in
            switch parameter.start {
            case .zeros: return [Float](repeating: 0, count: parameter.count)
            case .ones: return [Float](repeating: 1, count: parameter.count)
            case .glorot:
                let bound = (6 / Double(parameter.shape.reduce(0, +))).squareRoot()
                return (0..<parameter.count).map { _ in
                    Float(Double.random(in: -bound..<bound, using: &random))
                }
            }
        }
    }
}
