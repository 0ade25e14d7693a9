/// The `params` of a dummy-service step and the worker's settings they become.
enum DummyParameters {
    static let type = "dummy"
    static let names = [
        "seconds", "records_per_second", "fail_after", "fail_final", "exit_after", "finish_on_ping",
        "ignore_stop",
    ]

    /// - Returns: environment variables of the worker by name.
    static func settings(_ parameters: ObjectReader) throws(RequestError) -> [String: String] {
        var settings: [String: String] = [:]
        let numbers = [
            ("seconds", "DUMMY_SECONDS", 31_622_400),
            ("records_per_second", "DUMMY_RECORDS_PER_SECOND", 1_000_000_000),
            ("fail_after", "DUMMY_FAIL_AFTER_SECONDS", 31_622_400),
            ("exit_after", "DUMMY_EXIT_AFTER_SECONDS", 31_622_400),
        ]
        for (name, variable, most) in numbers {
            settings[variable] = try parameters.integer(name, in: 0...most).map(String.init)
        }
        let flags = [
            ("fail_final", "DUMMY_FAIL_FINAL"), ("finish_on_ping", "DUMMY_FINISH_ON_PING"),
            ("ignore_stop", "DUMMY_IGNORE_STOP"),
        ]
        for (name, variable) in flags {
            settings[variable] = try parameters.boolean(name).map { $0 ? "true" : "false" }
        }
        return settings
    }
}
