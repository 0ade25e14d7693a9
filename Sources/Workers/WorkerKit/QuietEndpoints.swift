import Glibc
import Logging
import ServiceEndpoints
import ServiceLifecycle
import ServiceRuntime

/// What every worker's process does first.
package enum WorkerProcess {
    package static func prepare() {
        MemoryPolicy.shareOneHeap()
        // A log file that reached its bound must not end the worker: what it logs then is lost.
        signal(SIGXFSZ, SIG_IGN)
    }
}

/// The endpoints of a worker: begun once `started` is out of the door, and never a reason to end the work.
package struct QuietEndpoints: Service {
    let endpoints: ServiceEndpoints
    let health: HealthState
    let onFailure: @Sendable (_ detail: String) -> Void

    /// A worker that waits for its broker is probed too.
    private static let waitMax = Duration.milliseconds(500)

    package init(
        endpoints: ServiceEndpoints, health: HealthState,
        onFailure: @escaping @Sendable (_ detail: String) -> Void
    ) {
        self.endpoints = endpoints
        self.health = health
        self.onFailure = onFailure
    }

    package func run() async throws {
        let deadline = ContinuousClock.now + Self.waitMax
        while !health.report(.startup).isOK, ContinuousClock.now < deadline {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .milliseconds(5)) }
            if Task.isShuttingDownGracefully { return }
        }
        do {
            try await endpoints.run()
        } catch {
            onFailure("\(error)")
            try? await gracefulShutdown()
        }
    }
}

extension Logger {
    /// Without what the service group says about its own steps.
    package var quiet: Logger {
        var copy = self
        copy.logLevel = max(logLevel, .notice)
        return copy
    }
}
