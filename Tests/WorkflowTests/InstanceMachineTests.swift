import Testing
import Workflow

@Suite struct InstanceMachineTests {
    typealias Machine = InstanceMachine

    private func machine(_ state: Machine.State, attempt: Int = 1, failures: Int = 0, isWanted: Bool = true)
        -> Machine
    {
        Machine(state: state, attempt: attempt, failures: failures, isWanted: isWanted, attemptsMax: 3)
    }

    @Test(arguments: [
        (Machine.State.waiting, true, Machine.Input.launch, Machine.Answer.changed, Machine.State.starting),
        (.waiting, true, .cancel(reason: "x"), .ended, .interrupted),
        (.waiting, true, .skip(reason: "x"), .ignore, .waiting),
        (.waiting, true, .finished(attempt: 1), .ignore, .waiting),
        (.starting, true, .launch, .ignore, .starting),
        (.starting, true, .alive(attempt: 1), .changed, .running),
        (.starting, true, .alive(attempt: 2), .ignore, .starting),
        (.starting, true, .finished(attempt: 1), .ended, .finished),
        (
            .starting, true, .lost(attempt: 1, countsAsFailure: true, reason: "x"), .retry(failures: 1),
            .waiting
        ),
        (.running, true, .alive(attempt: 1), .ignore, .running),
        (.running, true, .finished(attempt: 1), .ended, .finished),
        (.running, true, .finished(attempt: 0), .ignore, .running),
        (.running, true, .interrupted(attempt: 1), .retry(failures: 0), .waiting),
        (.running, false, .interrupted(attempt: 1), .ended, .interrupted),
        (.running, true, .failed(attempt: 1, isRetriable: false, reason: "x"), .ended, .failed),
        (.running, true, .failed(attempt: 1, isRetriable: true, reason: "x"), .retry(failures: 1), .waiting),
        (.running, false, .failed(attempt: 1, isRetriable: true, reason: "x"), .ended, .interrupted),
        (
            .running, true, .lost(attempt: 1, countsAsFailure: false, reason: "x"), .retry(failures: 0),
            .waiting
        ),
        (.running, false, .lost(attempt: 1, countsAsFailure: false, reason: "x"), .ended, .interrupted),
        (.running, true, .cancel(reason: "x"), .changed, .running),
        (.running, false, .cancel(reason: "x"), .ignore, .running),
        (.running, false, .finished(attempt: 1), .ended, .finished),
        (.finished, true, .failed(attempt: 1, isRetriable: true, reason: "x"), .ignore, .finished),
        (.failed, true, .launch, .ignore, .failed),
        (.interrupted, true, .finished(attempt: 1), .ignore, .interrupted),
        (.skipped, true, .launch, .ignore, .skipped),
    ])
    func `answers each input in each state`(
        before: Machine.State, isWanted: Bool, input: Machine.Input, answer: Machine.Answer,
        after: Machine.State
    ) {
        var subject = machine(before, isWanted: isWanted)
        #expect(subject.apply(input) == answer)
        #expect(subject.state == after)
    }

    @Test func `skips only what was never tried`() {
        var subject = Machine(attemptsMax: 3)
        #expect(subject.apply(.skip(reason: "step a did not finish")) == .ended)
        #expect(subject.state == .skipped)
    }

    @Test func `fails when its attempts are used up`() {
        var subject = Machine(attemptsMax: 2)
        for attempt in 1...2 {
            #expect(subject.apply(.launch) == .changed)
            let answer = subject.apply(.lost(attempt: attempt, countsAsFailure: true, reason: "killed"))
            #expect(answer == (attempt == 1 ? .retry(failures: 1) : .ended))
        }
        #expect(subject.state == .failed)
        #expect(subject.reason == "killed (2 of 2 attempts failed)")
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `never leaves a final state and never goes back in attempts`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<5_000 {
            var subject = Machine(attemptsMax: Int.random(in: 1...4, using: &random))
            for _ in 0..<30 {
                let before = subject
                let answer = subject.apply(randomInput(around: subject.attempt, using: &random))
                #expect(!before.state.isFinal || subject == before, "seed \(seed)")
                #expect(subject.attempt >= before.attempt && subject.failures >= before.failures)
                #expect((answer == .ignore) == (subject == before), "seed \(seed): \(before) → \(subject)")
                #expect((answer == .ended) == (subject.state.isFinal && !before.state.isFinal))
            }
        }
    }

    private func randomInput(around attempt: Int, using random: inout SplitMix64) -> Machine.Input {
        let number = attempt + Int.random(in: -1...1, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1, 2: return .launch
        case 3: return .alive(attempt: number)
        case 4: return .finished(attempt: number)
        case 5: return .interrupted(attempt: number)
        case 6: return .failed(attempt: number, isRetriable: Bool.random(using: &random), reason: "r")
        case 7: return .lost(attempt: number, countsAsFailure: Bool.random(using: &random), reason: "r")
        case 8: return .cancel(reason: "c")
        default: return .skip(reason: "s")
        }
    }
}

/// A small seeded generator (Steele, Lea, Flood 2014: SplitMix), so that a failing sequence can be replayed.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
