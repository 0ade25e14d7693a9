import Foundation
import GNNTraining
import GraphLearning
import TestSupport
import Testing
import TorchBridge

/// The whole network, its gradients and its training against PyTorch.
@Suite(.timeLimit(.minutes(5)))
struct NetworkTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var norm: NetworkSpecification.Norm
        var activation = NetworkSpecification.Activation.elu
        var isResidual = true
        var kind = LearningTask.Kind.direction
        var hasEdgeFeatures = true
        var isDecoupled = true
        var testDescription: String {
            "\(kind.rawValue), \(norm.rawValue) norm, \(activation.rawValue), residual \(isResidual), "
                + "edge features \(hasEdgeFeatures), decoupled \(isDecoupled)"
        }
    }

    static let cases = [
        Case(norm: .none), Case(norm: .layer, activation: .relu, isResidual: false),
        Case(norm: .graph, isDecoupled: false), Case(norm: .layer, kind: .logReturn),
        Case(norm: .none, activation: .relu, hasEdgeFeatures: false),
    ]

    struct Weight: Encodable {
        var name: String
        var shape: [Int]
        var values: [Float]
    }

    struct Input: Encodable {
        var features: [Float]
        var edgeFeatures: [Float]
        var sources: [Int32]
        var targets: [Int32]
        var parts: [Int64]
        var classes: [Int64]
        var outcomes: [Float?]
        var classWeights: [Double]
        var layers: [NetworkSpecification.Layer]
        var norm: NetworkSpecification.Norm
        var activation: NetworkSpecification.Activation
        var residual: Bool
        var slope: Double
        var weights: [Weight]
        var steps: Int
        var rate: Double
        var weightDecay: Double
        var decoupled: Bool
        var normMax: Double
    }

    struct Output: Codable {
        var outputs: [Double]
        var losses: [Double]
        var gradients: [String: [Double]]
    }

    private static let classWeights = [1.5, 0.5, 1]
    private static let rate = 0.001

    @Test(.enabled(if: ReferencePython.isWanted, "\(ReferencePython.skipReason)"))
    func `outputs, gradients and the curve of losses are PyTorch's`() async throws {
        let steps = 25
        let script = try #require(Bundle.module.path(forResource: "network_reference", ofType: "py"))
        let settings = try Self.cases.map { try Self.setting($0) }
        // One program for all: PyTorch takes seconds to start.
        let all: [Output] = try await ReferencePython.run(
            script,
            zip(Self.cases, settings).map { given, setting in
                Self.input(given, setting.0, setting.1, setting.0.start(seed: 4), steps: steps)
            }, usesTorch: true)
        try #require(all.count == Self.cases.count)
        for (given, (setting, expected)) in zip(Self.cases, zip(settings, all)) {
            for isComposed in [false, true] {
                let parameters = try ParameterSet(setting.0, setting.0.start(seed: 4), device: .cpu)
                let ours = try Self.train(given, parameters, setting.1, steps: steps, isComposed: isComposed)
                try expectEqual(ours, expected, steps: steps, given.testDescription)
            }
        }
    }

    private func expectEqual(_ ours: Output, _ expected: Output, steps: Int, _ given: String) throws {
        expectClose(ours.outputs, expected.outputs, "outputs of \(given)")
        #expect(Set(ours.gradients.keys) == Set(expected.gradients.keys))
        for (name, gradient) in expected.gradients {
            expectClose(try #require(ours.gradients[name]), gradient, "\(name) of \(given)")
        }
        #expect(expected.losses.count == steps)
        #expect(try #require(expected.losses.last) < expected.losses[0])
        // Adam divides by the size of the gradient: where that is only rounding, both sides go their own ways.
        expectClose(ours.losses, expected.losses, "losses of \(given)", within: 1e-4)
        expectClose([ours.losses[0]], [expected.losses[0]], "first loss of \(given)")
    }

    private func expectClose(
        _ ours: [Double], _ expected: [Double], _ what: String, within tolerance: Double = 1e-5
    ) {
        #expect(ours.count == expected.count)
        let scale = max(1, expected.map(abs).max() ?? 0)
        let difference = zip(ours, expected).map { abs($0 - $1) }.max() ?? 0
        #expect(difference <= tolerance * scale, "\(what): \(difference) of \(scale)")
    }

    private static func setting(_ given: Case) throws -> (NetworkSpecification, GraphBatch) {
        var market = SyntheticMarket()
        market.snapshots = 40
        var series = try market.series()
        if !given.hasEdgeFeatures {
            series = try SnapshotSeries(
                columns: SnapshotColumns(features: series.columns.features, edgeFeatures: []),
                series.snapshots.map {
                    var snapshot = $0
                    snapshot.edges.features = []
                    return snapshot
                })
        }
        var plan = TrainingPlan(task: LearningTask(given.kind, horizon: SyntheticMarket.step))
        plan.layers = [.init(heads: 3, channels: 4), .init(heads: 2, channels: 12, join: .mean)]
        plan.norm = given.norm
        plan.activation = given.activation
        plan.isResidual = given.isResidual
        let data = try PreparedData(series, plan)
        // The last one has no outcome.
        let batch = GraphBatch([data.snapshots[0], data.snapshots[7], data.snapshots[39]])
        return (plan.specification(series.columns), batch)
    }

    private static func input(
        _ given: Case, _ specification: NetworkSpecification, _ batch: GraphBatch, _ start: [[Float]],
        steps: Int
    ) -> Input {
        Input(
            features: batch.features, edgeFeatures: batch.edgeFeatures, sources: batch.sources,
            targets: batch.targets, parts: batch.parts, classes: batch.classes,
            outcomes: batch.outcomes.map { $0.isFinite ? $0 : nil }, classWeights: classWeights,
            layers: specification.layers, norm: given.norm, activation: given.activation,
            residual: given.isResidual, slope: specification.slope,
            weights: zip(specification.parameters, start).map {
                Weight(name: $0.name, shape: $0.shape, values: $1)
            }, steps: steps, rate: rate, weightDecay: 0.05, decoupled: given.isDecoupled, normMax: 1)
    }

    private static func train(
        _ given: Case, _ parameters: ParameterSet, _ batch: GraphBatch, steps: Int, isComposed: Bool
    ) throws -> Output {
        var network = GraphNetwork(parameters)
        network.isComposed = isComposed
        var settings = AdamOptimizer.Settings()
        settings.weightDecay = 0.05
        settings.isDecoupled = given.isDecoupled
        let optimizer = try AdamOptimizer(parameters.tensors, settings)
        let loss = try TrainingLoss(given.kind, classWeights: classWeights, device: .cpu)
        let tensors = try BatchTensors(batch, parameters.specification, device: .cpu)
        let target = try loss.target(batch, device: .cpu)
        var result = Output(outputs: [], losses: [], gradients: [:])
        for step in 0..<steps {
            let out = try network(tensors, .inference)
            let value = try loss(out, target)
            try optimizer.clearGradients()
            try value.backward()
            if step == 0 {
                result.outputs = try out.values(Float.self).map(Double.init)
                for (parameter, tensor) in zip(parameters.specification.parameters, parameters.tensors) {
                    result.gradients[parameter.name] =
                        try tensor.gradient?.values(Float.self).map(Double.init)
                }
            }
            _ = try optimizer.clipGradients(normMax: 1)
            try optimizer.step(rate: rate)
            result.losses.append(Double(try value.value(Float.self)))
        }
        return result
    }

    @Test func `dropout is drawn anew for each seed and never when predicting`() throws {
        let (specification, batch) = try Self.setting(Case(norm: .none))
        var noisy = specification
        noisy.attentionDropout = 0.3
        let network = GraphNetwork(try ParameterSet(noisy, noisy.start(seed: 1), device: .cpu))
        let tensors = try BatchTensors(batch, noisy, device: .cpu)
        func outputs(_ mode: GraphNetwork.Mode) throws -> [Float] {
            try network(tensors, mode).values(Float.self)
        }
        #expect(try outputs(.training(seed: 1)) == outputs(.training(seed: 1)))
        #expect(try outputs(.training(seed: 1)) != outputs(.training(seed: 2)))
        #expect(try outputs(.inference) == outputs(.inference))
    }

    @Test(.enabled(if: !TorchDevice.cudaDevices.isEmpty, "libtorch finds no CUDA device here"))
    func `a CUDA device predicts what the CPU does`() throws {
        let (specification, batch) = try Self.setting(Case(norm: .graph))
        let start = specification.start(seed: 4)
        let outputs = try [TorchDevice.cpu, .best].map { device in
            let network = GraphNetwork(try ParameterSet(specification, start, device: device))
            return try network(BatchTensors(batch, specification, device: device), .inference)
                .values(Float.self).map(Double.init)
        }
        expectClose(outputs[1], outputs[0], "outputs")
    }
}
