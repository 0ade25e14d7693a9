import ServiceRuntime
import Workflow

/// A kind of worker: what it is called, what it reads from its environment, what it does.
package struct WorkerKind: Sendable {
    /// The work of one attempt. It asks ``WorkerContext/stop`` between batches and returns soon after a stop,
    /// with what it holds finished and committed.
    package typealias Body = @Sendable (WorkerContext) async throws -> WorkerOutcome

    /// E.g. `loader-api-candles`: the sub-command, and the target in `TARGET`.
    package var name: String
    /// One sentence for `--help`.
    package var summary: String
    /// What it reads besides the settings every worker has (``WorkerProgram/commonSettings``).
    package var settings: [SettingsGroup]
    /// Whether a pool may run it: nothing in it is of the process (memory policy, signals, global counts),
    /// and it ends soon after a stop.
    package var mayRunPooled: Bool
    /// Turns the settings into the work; throws ``SettingsError`` for what no single setting shows.
    package var make: @Sendable (SettingValues) throws -> Body

    package init(
        name: String, summary: String, settings: [SettingsGroup], mayRunPooled: Bool = false,
        make: @escaping @Sendable (SettingValues) throws -> Body
    ) {
        self.name = name
        self.summary = summary
        self.settings = settings
        self.mayRunPooled = mayRunPooled
        self.make = make
    }
}

/// What became of an attempt. Counts are those of the instance over all its attempts.
package enum WorkerOutcome: Sendable, Equatable {
    case finished(InstanceCounts, extra: [String: JSONValue] = [:])
    /// Ended early in good order, because it was asked to; another attempt goes on from here.
    case interrupted(InstanceCounts)
    /// A later attempt has taken over: nothing was written since, and nothing is reported.
    case superseded
    case failed(InstanceCounts, WorkerFailure)
}

/// Why the work cannot go on. Thrown by a body, or returned with the counts.
package struct WorkerFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// `retriable`, `final`, or a reason of its own that is final (`too_many_dead_letters`, `data_lost`).
    package var reason: EndReason
    /// For people, with the other side's own words; no secrets. At most 2,000 characters are reported.
    package var detail: String

    package init(_ reason: EndReason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    package var isRetriable: Bool { reason == .retriable }
    package var description: String { detail }
}
