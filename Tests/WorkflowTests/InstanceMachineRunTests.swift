import Testing
import Workflow

/// What a retry of the queue does to an instance.
@Suite struct InstanceMachineRunTests {
    private func machine(
        _ state: InstanceMachine.State, attempt: Int = 1, failures: Int = 0, isWanted: Bool = true
    ) -> InstanceMachine {
        InstanceMachine(
            state: state, attempt: attempt, failures: failures, isWanted: isWanted, attemptsMax: 3)
    }

    @Test func `a new run begins as at first, with attempt numbers that go on`() {
        var failed = machine(.failed, attempt: 3, failures: 3, isWanted: false)
        let isReset = failed.runAgain()
        #expect(isReset)
        #expect(failed.state == .waiting && failed.failures == 0 && failed.isWanted && !failed.hasBegun)
        var skipped = failed
        let skip = skipped.apply(.skip(reason: "x"))
        #expect(skip == .ended)
        // An attempt of the run before has nothing more to say.
        let answers = [
            failed.apply(.finished(attempt: 3)), failed.apply(.launch), failed.apply(.skip(reason: "x")),
            failed.apply(.finished(attempt: 3)), failed.apply(.finished(attempt: 4)),
        ]
        #expect(answers == [.ignore, .changed, .ignore, .ignore, .ended])
        #expect(failed.attempt == 4 && failed.hasBegun)
    }

    @Test(arguments: [InstanceMachine.State.waiting, .starting, .running])
    func `what is not over is in no other run`(state: InstanceMachine.State) {
        var open = machine(state)
        let isReset = open.runAgain()
        #expect(!isReset)
        #expect(open == machine(state))
    }
}
