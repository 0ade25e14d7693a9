import Logging

/// What every long-running program has: its HTTP address, its logs, its end.
package enum ServiceSettings {
    package static let host = Setting.text(
        "HTTP_HOST", example: "0.0.0.0", doc: "The address its HTTP server listens on."
    ).fallback("127.0.0.1")
    package static let port = Setting<Int>.integer(
        "PORT", in: 0...65_535, example: "8000",
        doc: "The port its HTTP server listens on; 0 takes a free one and logs it."
    ).fallback("8000")
    package static let logLevel = Setting<Logger.Level>.choice(
        "LOG_LEVEL", example: "debug", doc: "The lowest level that is logged."
    ).fallback("info")
    package static let shutdownGrace = Setting<Duration>.seconds(
        "SHUTDOWN_GRACE_SECONDS", in: 0.1...3_600, example: "20",
        doc: "How long it may take to finish what it holds after SIGTERM."
    ).fallback("20")
    package static let crashPointsDirectory = Setting.path(
        "CRASH_POINTS_DIR", example: "/tmp/crash-points",
        doc: "For chaos tests only: a folder in which the process shows where it is and can be made to stop."
    ).optional()

    package static let group = SettingsGroup(
        "Service", [host, port, logLevel, shutdownGrace, crashPointsDirectory])
}
