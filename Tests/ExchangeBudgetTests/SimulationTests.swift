import Testing

@testable import ExchangeBudget

@Suite(.timeLimit(.minutes(2)))
struct SimulationTests {
    @Test func `whatever the interleaving, no window gets more than the budget`() {
        for seed in UInt64(1)...300 {
            var options = Simulation.Options()
            options.loaders = Int(1 + seed % 7)
            var simulation = Simulation(options, seed: seed)
            simulation.run()
            let most = simulation.ours.values.max() ?? 0
            #expect(most <= options.usable, "seed \(seed): \(most) of \(options.usable)")
        }
    }

    @Test(arguments: [false, true])
    func `loaders that end give back what they did not send, and no more`(isDateNoted: Bool) {
        for seed in UInt64(1)...300 {
            var options = Simulation.Options()
            options.requestsPerLoader = 15
            options.isDateNoted = isDateNoted
            var simulation = Simulation(options, seed: seed)
            simulation.run()
            let most = simulation.ours.values.max() ?? 0
            #expect(most <= options.usable, "seed \(seed): \(most) of \(options.usable)")
        }
    }

    @Test func `with others behind the address the whole stays within the limit`() {
        for seed in UInt64(1)...100 {
            var options = Simulation.Options()
            options.foreign = 30
            var simulation = Simulation(options, seed: seed)
            simulation.run()
            // Nobody has told of the others before the window's first answers are there.
            let most = simulation.total.values.max() ?? 0
            #expect(most <= options.usable + options.foreign / 2, "seed \(seed): \(most)")
        }
    }

    @Test func `calm loaders use most of each window, and all alike`() {
        for seed in UInt64(1)...50 {
            var options = Simulation.Options()
            options.mayLoseLoaders = false
            options.isStoreFlaky = false
            var simulation = Simulation(options, seed: seed)
            simulation.run()
            let windows = simulation.ours.sorted { $0.key < $1.key }.dropFirst(2).dropLast().map(\.value)
            let mean = windows.reduce(0, +) / max(1, windows.count)
            #expect(mean * 10 >= options.usable * 9, "seed \(seed): \(windows)")
            let counted = simulation.counted
            #expect((counted.min() ?? 0) * 2 >= counted.max() ?? 0, "seed \(seed): \(counted)")
        }
    }

    @Test func `nobody starves when there are more loaders than requests in a window`() {
        for seed in UInt64(1)...10 {
            var options = Simulation.Options()
            options.loaders = 30
            options.usable = 20
            options.windows = 20
            options.mayLoseLoaders = false
            options.isStoreFlaky = false
            var simulation = Simulation(options, seed: seed)
            simulation.run()
            // 20 windows of 10 requests for 30 loaders: at least every fifth window.
            #expect(simulation.counted.min() ?? 0 >= 4, "seed \(seed): \(simulation.counted)")
        }
    }
}
