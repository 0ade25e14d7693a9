import Foundation
import Testing
import Workflow

/// How many seeds the property tests run: 500, or what `STREAMFORGE_SEEDS` says (`from-to` for some).
enum Seeds {
    static let all: ClosedRange<UInt64> = {
        let text = ProcessInfo.processInfo.environment["STREAMFORGE_SEEDS"] ?? ""
        let parts = text.split(separator: "-").compactMap { UInt64($0) }
        if parts.count == 2, parts[0] <= parts[1] { return parts[0]...parts[1] }
        return 1...max(parts.first ?? 500, 1)
    }()
}

/// The machine of an instance under events in any order: late, doubled, from old attempts, with cancels.
struct InstanceMachinePropertyTests {
    private typealias Machine = InstanceMachine

    /// Events that are under way: they may come in any order, more than once, or after their attempt is over.
    private struct World {
        var machine: Machine
        var random: SplitMix64
        var underWay: [Machine.Input] = []

        mutating func step() -> Machine.Input {
            let live = machine.state.hasLiveAttempt
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<6 where machine.state == .waiting: return .launch
            case 0..<5 where live: underWay.append(.alive(attempt: machine.attempt))
            case 5..<8 where live: underWay.append(finalEvent())
            case 8: return .cancel(reason: "stop")
            case 9: return .skip(reason: "s")
            default: break
            }
            guard let index = underWay.indices.randomElement(using: &random) else { return .launch }
            // Some come again.
            return Int.random(in: 0..<4, using: &random) == 0 ? underWay[index] : underWay.remove(at: index)
        }

        mutating func finalEvent() -> Machine.Input {
            let attempt = machine.attempt
            switch Int.random(in: 0..<6, using: &random) {
            case 0: return .finished(attempt: attempt)
            case 1: return .interrupted(attempt: attempt)
            case 2: return .failed(attempt: attempt, isRetriable: false, reason: "r")
            case 3: return .lost(attempt: attempt, countsAsFailure: false, reason: "r")
            case 4: return .lost(attempt: attempt, countsAsFailure: true, reason: "r")
            default: return .failed(attempt: attempt, isRetriable: true, reason: "r")
            }
        }
    }

    @Test func `never leaves a final state, and its attempts only rise`() {
        for seed in Seeds.all {
            var random = SplitMix64(seed: seed)
            let attemptsMax = Int.random(in: 1...5, using: &random)
            var world = World(machine: Machine(attemptsMax: attemptsMax), random: random)
            for _ in 0..<200 {
                let input = world.step()
                let before = world.machine
                let answer = world.machine.apply(input)
                let after = world.machine
                // Not an expectation each: there are many, and all but none hold.
                if let problem = problem(before, input, answer, after) {
                    Issue.record("seed \(seed): \(problem): \(before) -- \(input) → \(after)")
                    break
                }
            }
        }
    }

    private func problem(
        _ before: Machine, _ input: Machine.Input, _ answer: Machine.Answer, _ after: Machine
    ) -> String? {
        if before.state.isFinal, before != after { return "left a final state" }
        if (answer == .ignore) != (before == after) { return "answered \(answer)" }
        let isLaunched = input == .launch && answer != .ignore
        if after.attempt != before.attempt + (isLaunched ? 1 : 0) { return "changed its attempt" }
        if after.failures < before.failures || after.failures > before.failures + 1 {
            return "counted its failures wrongly"
        }
        if after.failures > before.attemptsMax { return "was tried too often" }
        if before.state.hasLiveAttempt, !after.state.hasLiveAttempt, input.attempt != before.attempt {
            return "was ended by another attempt"
        }
        return nil
    }

    @Test func `reaches a final state once every attempt ends and failures count`() {
        for seed in Seeds.all {
            var world = World(machine: Machine(attemptsMax: 3), random: SplitMix64(seed: seed))
            for _ in 0..<Int.random(in: 0...50, using: &world.random) {
                let input = world.step()
                _ = world.machine.apply(input)
            }
            // From here on whatever is launched ends, and not for ever without a failure counted.
            var rounds = 0
            while !world.machine.state.isFinal, rounds < 20 {
                rounds += 1
                _ = world.machine.apply(.launch)
                let attempt = world.machine.attempt
                let ends: [Machine.Input] = [
                    .finished(attempt: attempt), .failed(attempt: attempt, isRetriable: true, reason: "r"),
                    .lost(attempt: attempt, countsAsFailure: true, reason: "r"),
                ]
                _ = world.machine.apply(ends[Int.random(in: 0..<3, using: &world.random)])
            }
            #expect(world.machine.state.isFinal, "seed \(seed): \(world.machine)")
        }
    }
}

extension InstanceMachine.Input {
    /// The attempt it speaks of.
    fileprivate var attempt: Int? {
        switch self {
        case .alive(let attempt), .finished(let attempt), .interrupted(let attempt): attempt
        case .failed(let attempt, _, _), .lost(let attempt, _, _): attempt
        case .held(let attempt, _): attempt
        case .launch, .cancel, .skip: nil
        }
    }
}
