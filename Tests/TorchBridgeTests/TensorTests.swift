import Testing
import TorchBridge

@Suite(.timeLimit(.minutes(5)))
struct TensorTests {
    @Test func `values come back as they went in`() throws {
        let tensor = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        #expect(tensor.shape == [2, 3])
        #expect(tensor.type == .float32)
        #expect(tensor.device == .cpu)
        #expect(try tensor.values(Float.self) == [1, 2, 3, 4, 5, 6])
        #expect(try Tensor([-1, 7] as [Int64], shape: [2]).values(Int64.self) == [-1, 7])
        #expect(try Tensor([] as [Double], shape: [0, 4]).values(Double.self) == [])
    }

    @Test func `a wrong count, a wrong type and a wrong shape are errors that say so`() throws {
        let tensor = try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
        let count = #expect(throws: TorchError.self) { try Tensor([1, 2] as [Float], shape: [3]) }
        #expect(count?.description == "make a tensor: 2 values are no [3], which has 3")
        let type = #expect(throws: TorchError.self) { try tensor.values(Double.self) }
        #expect(type?.detail == "its values are float32, not float64")
        let shape = #expect(throws: TorchError.self) {
            try tensor.linear(weight: try Tensor([1, 2, 3] as [Float], shape: [1, 3]), bias: nil)
        }
        #expect(shape?.operation == "linear")
        #expect(shape?.detail.isEmpty == false)
        #expect(throws: TorchError.self) { try tensor.backward() }
        #expect(throws: TorchError.self) { try tensor.assign(try Tensor([1] as [Float], shape: [1])) }
    }

    @Test func `an error of one call does not spoil the next`() throws {
        let tensor = try Tensor([1, 2] as [Float], shape: [2])
        #expect(throws: TorchError.self) {
            try tensor.adding(try Tensor([1, 2, 3] as [Float], shape: [3]))
        }
        #expect(try tensor.adding(tensor).values(Float.self) == [2, 4])
    }

    @Test func `gradients add up until they are cleared`() throws {
        let tensor = try Tensor([3, -2] as [Double], shape: [2])
        try tensor.requireGradient()
        #expect(try tensor.gradient == nil)
        for expected in [[6.0, -4], [12, -8]] {
            try tensor.multiplied(by: tensor).sum().backward()
            #expect(try tensor.gradient?.values(Double.self) == expected)
        }
        try tensor.clearGradient()
        #expect(try tensor.gradient == nil)
    }

    @Test func `nothing is recorded without gradients`() throws {
        let tensor = try Tensor([3] as [Double], shape: [1])
        try tensor.requireGradient()
        let sum = try Torch.withoutGradients { try tensor.multiplied(by: tensor).sum() }
        #expect(throws: TorchError.self) { try sum.backward() }
    }

    @Test func `losses leave out rows without a class and elements outside the mask`() throws {
        let logP = try Tensor([0.5, 0.5, 0.1, 0.9, 1, 1] as [Double], shape: [3, 2])
        let classes = try Tensor([0, 1, -1] as [Int64], shape: [3])
        #expect(try logP.negativeLogLikelihood(classes, weights: nil).value(Double.self) == -0.7)
        let weights = try Tensor([1, 3] as [Double], shape: [2])
        let weighted = try logP.negativeLogLikelihood(classes, weights: weights).value(Double.self)
        #expect(abs(weighted - -(0.5 + 3 * 0.9) / 4) < 1e-15)

        let values = try Tensor([0.5, 3, 100] as [Double], shape: [3, 1])
        let target = try Tensor([0, 0, 0] as [Double], shape: [3, 1])
        let mask = try Tensor([1, 1, 0] as [Double], shape: [3, 1])
        #expect(try values.huberLoss(target, mask: mask).value(Double.self) == (0.125 + 2.5) / 2)
    }

    @Test func `dropout's mask depends on its seed alone and keeps the mean`() throws {
        func mask(_ seed: UInt64) throws -> [Float] {
            try Tensor.dropoutMask(rows: 400, columns: 50, probability: 0.3, seed: seed, device: .cpu)
                .values(Float.self)
        }
        let drawn = try mask(5)
        #expect(try mask(5) == drawn)
        #expect(try mask(6) != drawn)
        #expect(Set(drawn) == [0, 1 / 0.7])
        let mean = drawn.reduce(0, +) / Float(drawn.count)
        // Five standard deviations of the mean of 20,000.
        #expect(abs(mean - 1) < 0.024)
        #expect(throws: TorchError.self) {
            try Tensor.dropoutMask(rows: 1, columns: 1, probability: 1, seed: 1, device: .cpu)
        }
    }

    @Test func `gradients are clipped to their common norm`() throws {
        let first = try Tensor([3] as [Double], shape: [1])
        let second = try Tensor([4] as [Double], shape: [1])
        for tensor in [first, second] { try tensor.requireGradient() }
        let optimizer = try AdamOptimizer([first, second])
        try first.multiplied(by: first).sum().adding(try second.multiplied(by: second).sum()).backward()
        #expect(try optimizer.clipGradients(normMax: 100) == 10)
        #expect(try first.gradient?.value(Double.self) == 6)
        #expect(try optimizer.clipGradients(normMax: 5) == 10)
        let clipped = try #require(try first.gradient).value(Double.self)
        #expect(abs(clipped - 3) < 1e-5)
        try optimizer.clearGradients()
        #expect(try second.gradient == nil)
    }

    @Test func `the device is chosen when the program runs`() {
        let devices = TorchDevice.cudaDevices
        #expect(TorchDevice.best == (devices.first ?? .cpu))
        #expect("\(TorchDevice.cuda(1))" == "cuda:1")
    }
}
