import DummyService
import Testing

/// What a dummy does when, on a clock of the test's own.
struct DummyScriptTests {
    private typealias Heard = DummyScript.Heard

    private func script(_ change: (inout DummyScript) -> Void = { _ in }) -> DummyScript {
        var script = DummyScript()
        script.duration = .seconds(10)
        change(&script)
        return script
    }

    @Test func `works for its time, then finishes`() {
        #expect(script().step(at: .zero, Heard()) == .goOn(atMost: .milliseconds(50)))
        #expect(script().step(at: .milliseconds(9_990), Heard()) == .goOn(atMost: .milliseconds(10)))
        #expect(script().step(at: .seconds(10), Heard()) == .finish)
    }

    @Test func `fails and crashes when told, a crash first`() {
        let failing = script { $0.failAfter = .seconds(3) }
        #expect(failing.step(at: .milliseconds(2_980), Heard()) == .goOn(atMost: .milliseconds(20)))
        #expect(failing.step(at: .seconds(3), Heard()) == .fail)
        #expect(failing.step(at: .seconds(3), Heard(isStopRequested: true)) == .fail)
        let both = script {
            $0.failAfter = .seconds(3)
            $0.exitAfter = .seconds(3)
        }
        #expect(both.step(at: .seconds(3), Heard()) == .exit)
    }

    @Test func `a stop interrupts it, unless it is deaf`() {
        let stopped = Heard(isStopRequested: true)
        #expect(script().step(at: .seconds(1), stopped) == .interrupt)
        let deaf = script { $0.ignoresStop = true }
        #expect(deaf.step(at: .seconds(1), stopped) == .goOn(atMost: .milliseconds(50)))
        #expect(deaf.step(at: .seconds(11), stopped) == .goOn(atMost: .milliseconds(50)))
        #expect(deaf.step(at: .seconds(11), Heard()) == .finish)
    }

    @Test func `an answered ping ends it only where that is asked for`() {
        let pinged = Heard(hasAnsweredPing: true)
        #expect(script().step(at: .seconds(1), pinged) == .goOn(atMost: .milliseconds(50)))
        #expect(script { $0.finishesOnPing = true }.step(at: .seconds(1), pinged) == .finish)
    }

    @Test func `an idle one does nothing until it is stopped`() {
        let idle = script {
            $0.isIdle = true
            $0.failAfter = .seconds(1)
            $0.exitAfter = .seconds(1)
            $0.recordsPerSecond = 100
        }
        #expect(idle.step(at: .seconds(60), Heard(hasAnsweredPing: true)) == .goOn(atMost: .milliseconds(50)))
        #expect(idle.step(at: .seconds(60), Heard(isStopRequested: true)) == .interrupt)
        #expect(idle.counts(at: .seconds(60)).recordsWritten == 0)
    }

    @Test func `counts what it pretends to write, and not beyond its time`() {
        let script = script { $0.recordsPerSecond = 100 }
        #expect(script.counts(at: .milliseconds(2_500)).recordsWritten == 250)
        #expect(script.counts(at: .seconds(60)).recordsWritten == 1_000)
    }
}
