import Foundation
import TestSupport
import Testing
import TorchBridge

@Suite(.timeLimit(.minutes(5)))
struct AttentionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var features: Int
        var dropout: Bool
        var channels = 5
        var testDescription: String { "\(features) edge features, dropout \(dropout), \(channels) channels" }
    }

    static let cases = [
        Case(features: 0, dropout: false), Case(features: 1, dropout: false, channels: 16),
        Case(features: 2, dropout: true), Case(features: 4, dropout: false, channels: 9),
        Case(features: 7, dropout: true),
    ]

    @Test(.enabled(if: ReferencePython.isWanted, "\(ReferencePython.skipReason)"))
    func `outputs and gradients equal PyTorch's`() async throws {
        let script = try #require(Bundle.module.path(forResource: "torch_reference", ofType: "py"))
        let fixtures = Self.cases.map {
            AttentionFixture(features: $0.features, dropout: $0.dropout, channels: $0.channels)
        }
        // One program for all: PyTorch takes seconds to start.
        let expected: [[String: [Double]]] = try await ReferencePython.run(
            script,
            [false, true].flatMap { isDouble in fixtures.map { $0.input(double: isDouble, slope: 0.2) } },
            usesTorch: true)
        try #require(expected.count == 2 * fixtures.count)
        for (index, fixture) in fixtures.enumerated() {
            let (single, double) = (expected[index], expected[index + fixtures.count])
            #expect(single.count == (fixture.features > 0 ? 6 : 4))
            for composed in [false, true] {
                expectEqual(try fixture.results(Float.self, composed: composed), single, within: 1e-5)
                expectEqual(try fixture.results(Double.self, composed: composed), double, within: 1e-12)
            }
        }
    }

    @Test(arguments: cases)
    func `gradients are what small changes of the inputs say`(_ given: Case) throws {
        var fixture = AttentionFixture(
            features: given.features, dropout: given.dropout, channels: given.channels, seed: 7)
        let gradients = try fixture.results(Double.self, composed: false)
        var random = SeededNumbers(3)
        for name in AttentionFixture.names {
            guard let values = fixture.tensors[name]?.values else { continue }
            for _ in 0..<12 {
                let place = random.below(values.count)
                let step = 1e-6
                fixture.tensors[name]?.values[place] = values[place] + step
                let above = try weightedSum(fixture)
                fixture.tensors[name]?.values[place] = values[place] - step
                let below = try weightedSum(fixture)
                fixture.tensors[name]?.values[place] = values[place]
                let slope = (above - below) / (2 * step)
                let gradient = try #require(gradients[name])[place]
                #expect(abs(slope - gradient) < 1e-6 * max(1, abs(gradient)), "\(name)[\(place)]")
            }
        }
    }

    @Test func `a node without incoming edges gets 0`() throws {
        let fixture = AttentionFixture()
        let out = try #require(try fixture.results(Float.self, composed: false)["out"])
        #expect(out.suffix(fixture.heads * fixture.channels).allSatisfy { $0 == 0 })
    }

    @Test func `great logits do not overflow`() throws {
        var fixture = AttentionFixture(features: 0)
        let great = try #require(fixture.tensors["source"]).values.map { $0 * 1e4 }
        fixture.tensors["source"]?.values = great
        for composed in [false, true] {
            let results = try fixture.results(Float.self, composed: composed)
            #expect(results.values.joined().allSatisfy { $0.isFinite })
        }
    }

    @Test func `a graph without edges gives 0`() throws {
        var fixture = AttentionFixture(features: 0)
        fixture.sources = []
        fixture.targets = []
        let results = try fixture.results(Float.self, composed: false)
        #expect(try #require(results["out"]).allSatisfy { $0 == 0 })
        #expect(try #require(results["source"]).allSatisfy { $0 == 0 })
    }

    @Test func `edges out of order or to nodes that are not there are refused`() throws {
        #expect(throws: TorchError.self) { try TorchGraph(nodeCount: 3, sources: [0, 1], targets: [2, 1]) }
        #expect(throws: TorchError.self) { try TorchGraph(nodeCount: 3, sources: [0, 3], targets: [1, 2]) }
        #expect(throws: TorchError.self) { try TorchGraph(nodeCount: 3, sources: [0], targets: [-1]) }
        #expect(throws: TorchError.self) { try TorchGraph(nodeCount: 3, sources: [0], targets: []) }
    }

    @Test func `inputs of the wrong shape are refused and say which`() throws {
        let fixture = AttentionFixture()
        let graph = try TorchGraph(nodeCount: 29, sources: [0], targets: [1])
        let (attention, _) = try fixture.attention(Float.self)
        let error = #expect(throws: TorchError.self) { try attention(graph) }
        #expect(error?.detail == "source must be [nodes, heads * channels]")
    }

    @Test(.enabled(if: !TorchDevice.cudaDevices.isEmpty, "libtorch finds no CUDA device here"))
    func `a CUDA device gives what the CPU gives`() throws {
        let device = TorchDevice.best
        #expect(device == .cuda(0))
        for given in Self.cases {
            let fixture = AttentionFixture(
                features: given.features, dropout: given.dropout, channels: given.channels)
            let expected = try fixture.results(Double.self, composed: false)
            // There the fused loops do not apply, whoever asks for them.
            let results = try fixture.results(Double.self, composed: false, device: device)
            expectEqual(results, expected, within: 1e-10)
        }
    }

    private func weightedSum(_ fixture: AttentionFixture) throws -> Double {
        let (attention, _) = try fixture.attention(Double.self)
        let graph = try TorchGraph(
            nodeCount: fixture.nodeCount, sources: fixture.sources, targets: fixture.targets)
        let out = try Torch.withoutGradients { try attention(graph).values(Double.self) }
        return zip(out, fixture.outWeights).reduce(0) { $0 + $1.0 * $1.1 }
    }

    private func expectEqual(
        _ results: [String: [Double]], _ expected: [String: [Double]], within tolerance: Double
    ) {
        #expect(Set(results.keys) == Set(expected.keys))
        for (name, values) in expected {
            let ours = results[name] ?? []
            #expect(ours.count == values.count)
            let scale = max(1, values.map(abs).max() ?? 0)
            let difference = zip(ours, values).map { abs($0 - $1) }.max() ?? 0
            #expect(difference <= tolerance * scale, "\(name): \(difference) of \(scale)")
        }
    }
}
