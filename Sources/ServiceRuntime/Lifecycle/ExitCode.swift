import Glibc

/// How a program says what became of it.
package enum ExitCode: Int32, Sendable, CaseIterable {
    case finished = 0
    /// Ended by `stop` or SIGTERM before its work was done.
    case interrupted = 3
    /// A later attempt has taken over, or this one was ended before it began.
    case superseded = 4
    /// A setting is missing or wrong; the same environment fails again.
    case badSetting = 10
    /// Another attempt may succeed.
    case retriable = 20
    /// Another attempt will fail in the same way.
    case final = 21

    /// Ends the process.
    package func exitProcess() -> Never { exit(rawValue) }
}
