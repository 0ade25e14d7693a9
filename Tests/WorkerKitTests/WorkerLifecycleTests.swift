import ServiceRuntime
import Testing
import Workflow

@testable import WorkerKit

struct WorkerLifecycleTests {
    private static let counts = InstanceCounts(recordsRead: 5, recordsWritten: 4, duplicates: 1)
    private static let failure = WorkerFailure(.retriable, "no answer")

    private func lifecycle(_ inputs: WorkerLifecycle.Input...) -> WorkerLifecycle {
        var lifecycle = WorkerLifecycle()
        for input in inputs { _ = lifecycle.apply(input) }
        return lifecycle
    }

    private func end(_ action: WorkerLifecycle.Action) throws -> WorkerEnd {
        guard case .end(let end) = action else {
            throw WorkerFailure(.final, "not an end: \(action)")
        }
        return end
    }

    @Test func `begins when the commands are read`() {
        var lifecycle = WorkerLifecycle()
        #expect(lifecycle.apply(.commandsRead) == .begin)
        #expect(lifecycle.state == .running)
        #expect(lifecycle.apply(.commandsRead) == .ignore)
    }

    @Test func `is superseded by a stop that came before it`() throws {
        var lifecycle = WorkerLifecycle()
        let end = try end(lifecycle.apply(.stop(.command(reason: "attempt_lost"))))
        #expect(end.exitCode == .superseded)
        #expect(end.report?.status == .interrupted && end.report?.reason == .superseded)
        #expect(lifecycle.apply(.commandsRead) == .ignore)
    }

    @Test func `is interrupted by a signal before it began`() throws {
        var lifecycle = WorkerLifecycle()
        let end = try end(lifecycle.apply(.stop(.signal)))
        #expect(end.exitCode == .interrupted && end.report?.reason == .stopped)
    }

    @Test func `fails when its broker does not answer`() throws {
        var lifecycle = WorkerLifecycle()
        let end = try end(lifecycle.apply(.ended(.failed(InstanceCounts(), Self.failure))))
        #expect(end.exitCode == .retriable)
    }

    @Test func `asks the work to stop once`() {
        var lifecycle = lifecycle(.commandsRead)
        #expect(lifecycle.apply(.stop(.command(reason: nil))) == .askToStop)
        #expect(lifecycle.state == .stopping)
        #expect(lifecycle.apply(.stop(.signal)) == .ignore)
    }

    @Test func `reports what the work returned, also while stopping`() throws {
        for inputs in [[WorkerLifecycle.Input.commandsRead], [.commandsRead, .stop(.signal)]] {
            var lifecycle = WorkerLifecycle()
            for input in inputs { _ = lifecycle.apply(input) }
            let end = try end(lifecycle.apply(.ended(.finished(Self.counts, extra: ["a": .integer(1)]))))
            #expect(end.exitCode == .finished)
            #expect(
                end.report
                    == FinalReport(
                        status: .finished, message: "Finished", counts: Self.counts,
                        extra: ["a": .integer(1)]))
        }
    }

    @Test func `reports an interruption with the counts so far`() throws {
        var lifecycle = lifecycle(.commandsRead, .stop(.signal))
        let end = try end(lifecycle.apply(.ended(.interrupted(Self.counts))))
        #expect(end.exitCode == .interrupted)
        #expect(end.report?.status == .interrupted && end.report?.counts == Self.counts)
    }

    @Test func `says nothing when a later attempt took over`() throws {
        var lifecycle = lifecycle(.commandsRead)
        let end = try end(lifecycle.apply(.ended(.superseded)))
        #expect(end.report == nil && end.exitCode == .superseded)
    }

    @Test(arguments: [
        (EndReason.retriable, ExitCode.retriable), (.final, .final), (.tooManyDeadLetters, .final),
    ])
    func `tells by its exit code whether another attempt may help`(reason: EndReason, code: ExitCode) throws {
        var lifecycle = lifecycle(.commandsRead)
        let failure = WorkerFailure(reason, String(repeating: "x", count: 5_000))
        let end = try end(lifecycle.apply(.ended(.failed(Self.counts, failure))))
        #expect(end.exitCode == code && end.report?.reason == reason && end.report?.status == .error)
        #expect(end.report?.error?.count == FinalReport.errorCharactersMax)
    }

    @Test func `ends only once`() {
        var lifecycle = lifecycle(.commandsRead, .ended(.superseded))
        #expect(lifecycle.apply(.ended(.finished(Self.counts))) == .ignore)
        #expect(lifecycle.apply(.stop(.signal)) == .ignore)
        #expect(lifecycle.apply(.commandsRead) == .ignore)
        #expect(lifecycle.state == .ended)
    }
}
