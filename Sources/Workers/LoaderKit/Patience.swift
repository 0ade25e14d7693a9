import KafkaBridge

/// Asks the broker again until there is an answer.
///
/// Each call is short, so that a cancelled task ends soon although the calls themselves cannot be cancelled.
enum Patience {
    /// Time limit of one call.
    static let slice = Duration.seconds(5)
    private static let pause = Duration.milliseconds(50)

    /// Makes a call until its outcome is known or the time is over; librdkafka goes on with a call that timed
    /// out where it was.
    ///
    /// - Returns: nil when it succeeded, else the last error.
    /// - Throws: `CancellationError`.
    static func settle(
        within waitMax: Duration, _ call: () async throws(KafkaError) -> Void
    ) async throws -> KafkaError? {
        let clock = ContinuousClock()
        let deadline = clock.now + waitMax
        while true {
            do throws(KafkaError) {
                try await call()
                return nil
            } catch {
                guard error.isRetriable, !error.requiresAbort, !error.isFatal, clock.now < deadline else {
                    return error
                }
            }
            try await Task.sleep(for: pause)
        }
    }
}
