import ServiceRuntime
import Workflow

/// The life of one attempt in its process: what happens in, what to do out.
///
/// ```
/// reading ─commandsRead─► running ─stop─► stopping
///    │ stop                  │ ended         │ ended
///    └────────► ended ◄──────┴───────────────┘
/// ```
/// `reading`: the queue's commands up to now are read first, so that an attempt that was ended before it
/// began writes nothing. There is exactly one `end` action, with at most one final event.
package struct WorkerLifecycle: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        case reading, running, stopping, ended
    }

    package enum Stop: Sendable, Equatable {
        /// A `stop` command that concerns this attempt.
        case command(reason: String?)
        /// SIGTERM or SIGINT.
        case signal
    }

    package enum Input: Sendable, Equatable {
        /// All commands that were there at the start are read, none of them ended the attempt.
        case commandsRead
        case stop(Stop)
        /// The work returned or threw.
        case ended(WorkerOutcome)
    }

    package enum Action: Sendable, Equatable {
        case ignore
        /// Report `started`, then begin the work.
        case begin
        /// Ask the work to return.
        case askToStop
        case end(WorkerEnd)
    }

    package private(set) var state = State.reading

    package init() {}

    package mutating func apply(_ input: Input) -> Action {
        switch (state, input) {
        case (.reading, .commandsRead):
            state = .running
            return .begin
        case (.reading, .stop(let stop)):
            state = .ended
            return .end(Self.endBeforeStart(stop))
        case (.running, .stop):
            state = .stopping
            return .askToStop
        case (.running, .ended(let outcome)), (.stopping, .ended(let outcome)):
            state = .ended
            return .end(WorkerEnd(outcome))
        case (.reading, .ended(let outcome)):
            // The way to the work failed: its broker does not answer.
            state = .ended
            return .end(WorkerEnd(outcome))
        case (.running, .commandsRead), (.stopping, .commandsRead), (.stopping, .stop), (.ended, _):
            return .ignore
        }
    }

    private static func endBeforeStart(_ stop: Stop) -> WorkerEnd {
        switch stop {
        case .command(let reason):
            let report = FinalReport(
                status: .interrupted, reason: .superseded, message: "Was stopped before it began",
                error: reason)
            return WorkerEnd(report: report, exitCode: .superseded)
        case .signal:
            let report = FinalReport(
                status: .interrupted, reason: .stopped, message: "Was stopped before it began")
            return WorkerEnd(report: report, exitCode: .interrupted)
        }
    }
}

/// How an attempt ends: its final event, and what the process tells by its exit code.
package struct WorkerEnd: Sendable, Equatable {
    /// nil when a later attempt has taken over: what this one says is of no interest, and where two
    /// processes run the same attempt, it would end the one that works.
    package var report: FinalReport?
    package var exitCode: ExitCode

    init(report: FinalReport?, exitCode: ExitCode) {
        self.report = report
        self.exitCode = exitCode
    }

    init(_ outcome: WorkerOutcome) {
        switch outcome {
        case .finished(let counts, let extra):
            report = FinalReport(status: .finished, message: "Finished", counts: counts, extra: extra)
            exitCode = .finished
        case .interrupted(let counts):
            report = FinalReport(
                status: .interrupted, reason: .stopped, message: "Was stopped", counts: counts)
            exitCode = .interrupted
        case .superseded:
            report = nil
            exitCode = .superseded
        case .failed(let counts, let failure):
            report = FinalReport(
                status: .error, reason: failure.reason, message: "Failed", counts: counts,
                error: String(failure.detail.prefix(FinalReport.errorCharactersMax)))
            exitCode = failure.isRetriable ? .retriable : .final
        }
    }
}

/// What a final event says.
package struct FinalReport: Sendable, Equatable {
    package static let errorCharactersMax = 2_000

    package var status: QueueEvent.Status
    package var reason: EndReason?
    package var message: String
    /// nil: nothing is known beyond what was reported before.
    package var counts: InstanceCounts?
    package var error: String?
    package var extra: [String: JSONValue] = [:]
}
