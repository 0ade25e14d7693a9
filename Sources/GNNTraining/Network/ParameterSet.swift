package import GraphLearning
package import TorchBridge

/// The weights of a network, by name and in the order of its specification.
package struct ParameterSet {
    package let specification: NetworkSpecification
    package let tensors: [Tensor]
    private let places: [String: Int]

    /// - Parameter values: as many arrays as the specification has parameters, each of the right size.
    package init(
        _ specification: NetworkSpecification, _ values: [[Float]], device: TorchDevice,
        isTrained: Bool = true
    ) throws(TorchError) {
        let parameters = specification.parameters
        guard values.map(\.count) == parameters.map(\.count) else {
            throw TorchError(
                operation: "make a network",
                detail: "\(values.count) arrays of values do not fit \(parameters.count) parameters")
        }
        var tensors: [Tensor] = []
        for (parameter, values) in zip(parameters, values) {
            let tensor = try Tensor(values, shape: parameter.shape, device: device)
            if isTrained { try tensor.requireGradient() }
            tensors.append(tensor)
        }
        self.specification = specification
        self.tensors = tensors
        places = Dictionary(uniqueKeysWithValues: parameters.enumerated().map { ($1.name, $0) })
    }

    subscript(name: String) -> Tensor {
        get throws(TorchError) {
            guard let place = places[name] else {
                throw TorchError(operation: "find a parameter", detail: "there is none called \(name)")
            }
            return tensors[place]
        }
    }

    package func values() throws(TorchError) -> [[Float]] {
        var values: [[Float]] = []
        for tensor in tensors { values.append(try tensor.values(Float.self)) }
        return values
    }

    package func assign(_ values: [[Float]]) throws(TorchError) {
        for (tensor, values) in zip(tensors, values) {
            try tensor.assign(try Tensor(values, shape: tensor.shape, device: tensor.device))
        }
    }
}
