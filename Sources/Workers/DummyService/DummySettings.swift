import ServiceRuntime
import WorkerKit

/// What a dummy does, read from its environment.
package struct DummyScript: Sendable, Equatable {
    /// How long it works.
    package var duration = Duration.seconds(1)
    /// Records it says it wrote, a second of work.
    package var recordsPerSecond: Int64 = 0
    /// It reports an error after this long; nil: it does not.
    package var failAfter: Duration?
    /// Whether that error is final: no other attempt would do better.
    package var isFailureFinal = false
    /// Its process ends after this long without a word, as if it had crashed; nil: it does not.
    package var exitAfter: Duration?
    /// It finishes when it has answered a ping.
    package var finishesOnPing = false
    /// It works on after a stop, until it is killed.
    package var ignoresStop = false
    /// It does nothing at all until it is stopped: nothing of the above but deafness to stops counts.
    package var isIdle = false

    package init() {}
}

enum DummySettings {
    private static let secondsMax = 31_622_400.0

    static let duration = Setting<Duration>.seconds(
        "DUMMY_SECONDS", in: 0...secondsMax, example: "10", doc: "How long it works."
    ).fallback("1")
    static let recordsPerSecond = Setting<Int64>.integer(
        "DUMMY_RECORDS_PER_SECOND", in: 0...1_000_000_000, example: "100",
        doc: "Records it says it wrote in each second of work."
    ).fallback("0")
    static let failAfter = Setting<Duration>.seconds(
        "DUMMY_FAIL_AFTER_SECONDS", in: 0...secondsMax, example: "5",
        doc: "It reports an error after this long."
    ).optional()
    static let isFailureFinal = Setting<Bool>.flag(
        "DUMMY_FAIL_FINAL", doc: "That error is final: no other attempt is made.")
    static let exitAfter = Setting<Duration>.seconds(
        "DUMMY_EXIT_AFTER_SECONDS", in: 0...secondsMax, example: "5",
        doc: "Its process ends after this long without a word, as if it had crashed."
    ).optional()
    static let finishesOnPing = Setting<Bool>.flag(
        "DUMMY_FINISH_ON_PING", doc: "It finishes when it has answered a ping.")
    static let ignoresStop = Setting<Bool>.flag(
        "DUMMY_IGNORE_STOP", doc: "It works on after a stop, until it is killed.")

    static let isIdle = Setting<Bool>.flag(
        "DUMMY_NOOP", doc: "It does nothing until it is stopped: no work, no failure, no exit.")

    static let group = SettingsGroup(
        "Dummy",
        [
            duration, recordsPerSecond, failAfter, isFailureFinal, exitAfter, finishesOnPing, ignoresStop,
            isIdle,
        ])

    static func script(_ values: SettingValues) -> DummyScript {
        var script = DummyScript()
        script.duration = values[duration]
        script.recordsPerSecond = values[recordsPerSecond]
        script.failAfter = values[failAfter]
        script.isFailureFinal = values[isFailureFinal]
        script.exitAfter = values[exitAfter]
        script.finishesOnPing = values[finishesOnPing]
        script.ignoresStop = values[ignoresStop]
        script.isIdle = values[isIdle]
        return script
    }
}
