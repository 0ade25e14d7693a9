import ServiceLifecycle

/// Runs `body` again and again until graceful shutdown; an error is reported and followed by a pause.
///
/// - Parameter body: returns after one round; must bear cancellation at every await.
func loop(
    _ name: String, observe: EngineObserver, pauseAfterError: Duration = .milliseconds(500),
    _ body: @escaping @Sendable () async throws -> Void
) async {
    await cancelWhenGracefulShutdown {
        while !Task.isCancelled {
            do {
                try await body()
            } catch is CancellationError {
                return
            } catch {
                if Task.isCancelled { return }
                observe(.loopFailed(loop: name, error: "\(error)"))
                // Cancelled: the loop ends at its head.
                try? await Task.sleep(for: pauseAfterError)
            }
        }
    }
}
