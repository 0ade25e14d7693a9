import ArgumentParser

/// The dummy's settings as flags, for trying it by hand.
struct DummyFlags: ParsableArguments {
    @Flag(help: "Do nothing until stopped (DUMMY_NOOP).")
    var noop = false
    @Flag(help: "Say that 100 records a second are written, for ever.")
    var simulateLoading = false
    @Option(help: "Report an error after so many seconds (DUMMY_FAIL_AFTER_SECONDS).")
    var failAfter: Double?
    @Option(help: "End the process without a word after so many seconds (DUMMY_EXIT_AFTER_SECONDS).")
    var exitAfter: Double?
    @Flag(help: "Finish after the first ping that was answered (DUMMY_FINISH_ON_PING).")
    var exitOnPing = false
    @Flag(help: "Work on after a stop (DUMMY_IGNORE_STOP).")
    var ignoreStop = false

    /// The environment variables they stand for; what was not given is left as it is.
    var variables: [String: String] {
        var variables: [String: String] = [:]
        if noop { variables["DUMMY_NOOP"] = "true" }
        if simulateLoading {
            variables["DUMMY_RECORDS_PER_SECOND"] = "100"
            variables["DUMMY_SECONDS"] = "31622400"
        }
        variables["DUMMY_FAIL_AFTER_SECONDS"] = failAfter.map { "\($0)" }
        variables["DUMMY_EXIT_AFTER_SECONDS"] = exitAfter.map { "\($0)" }
        if exitOnPing { variables["DUMMY_FINISH_ON_PING"] = "true" }
        if ignoreStop { variables["DUMMY_IGNORE_STOP"] = "true" }
        return variables
    }

    /// The flags that were given, for error messages.
    var shown: String {
        let given = [
            noop ? "--noop" : nil, simulateLoading ? "--simulate-loading" : nil,
            failAfter.map { _ in "--fail-after" }, exitAfter.map { _ in "--exit-after" },
            exitOnPing ? "--exit-on-ping" : nil, ignoreStop ? "--ignore-stop" : nil,
        ]
        return given.compactMap(\.self).joined(separator: " ")
    }
}
