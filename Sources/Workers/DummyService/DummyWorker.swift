import Foundation
import ServiceRuntime
import WorkerKit
import Workflow

/// The worker kind `dummy-service`: does nothing but behave, for trying out workflows and for tests of failure.
package enum DummyWorker {
    package static let kind = WorkerKind(
        name: Target.dummyService.rawValue,
        summary: "Pretends to work: for a while, with errors, crashes or deaf to stops, as asked.",
        settings: [DummySettings.group], mayRunPooled: true
    ) { values in
        let script = DummySettings.script(values)
        return { context in try await run(script, context) }
    }

    /// The exit code of a crash on demand: none that a worker gives by itself.
    private static let crashCode: Int32 = 99

    private static func run(_ script: DummyScript, _ context: WorkerContext) async throws -> WorkerOutcome {
        let start = ContinuousClock.now
        let meters = DummyMeters(context)
        meters.begin()
        while true {
            let elapsed = ContinuousClock.now - start
            let counts = script.counts(at: elapsed)
            context.loading(counts, message: "Pretending")
            meters.look(context)
            let heard = DummyScript.Heard(
                isStopRequested: context.stop.isRequested, hasAnsweredPing: context.pongsSent > 0)
            switch script.step(at: elapsed, heard) {
            case .goOn(let limit): try await Task.sleep(for: limit)
            case .finish:
                meters.end(.finished)
                return .finished(counts)
            case .interrupt:
                meters.end(.interrupted)
                return .interrupted(counts)
            case .fail:
                meters.end(.error)
                let reason: EndReason = script.isFailureFinal ? .final : .retriable
                return .failed(counts, WorkerFailure(reason, "It was asked to fail"))
            // One of many in a process does not take the others along: it only says nothing more.
            case .exit where context.isPooled: return .superseded
            case .exit: _exit(crashCode)
            }
        }
    }
}
