import Workflow

/// Repeats a store call while the store does not answer.
struct StorePatience: Sendable {
    let limits: ConnectorLimits
    let hooks: ConnectorHooks

    /// - Parameter call: is safe to repeat; told whether it is a repetition.
    /// - Throws: ``ConnectorError``: `stopped` when a stop was asked for meanwhile, `retriable` when the store
    ///   stayed away for ``ConnectorLimits/storeRetry``.
    func call<Result: Sendable>(
        _ call: @Sendable (_ isRepeated: Bool) async throws(StoreError) -> Result
    ) async throws(ConnectorError) -> Result {
        let deadline = ContinuousClock.now + limits.storeRetry
        var tries = 0
        while true {
            do throws(StoreError) {
                return try await call(tries > 0)
            } catch {
                guard error.isRetriable else { throw ConnectorError(error) }
                if hooks.shouldStop() { throw ConnectorError(.stopped, "stopped while \(error)") }
                guard ContinuousClock.now < deadline, !Task.isCancelled else {
                    throw ConnectorError(.retriable, "\(error), after \(tries + 1) tries")
                }
                // A random part keeps many connectors from coming back at the same moment.
                let full = min(limits.storeBackoffInitial * (1 << min(tries, 20)), limits.storeBackoffMax)
                let pause = full * Double.random(in: 0.5...1)
                hooks.observe(.storeRetried(error, pause: pause))
                try? await Task.sleep(for: pause)
                tries += 1
            }
        }
    }
}
