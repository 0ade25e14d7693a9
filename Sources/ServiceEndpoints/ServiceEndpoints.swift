import Hummingbird
import Logging
import ServiceLifecycle
import ServiceRuntime

/// The HTTP server of a program that serves nothing but its metrics and health.
///
/// Run it beside the work, never before it: a worker's start does not wait for it.
package struct ServiceEndpoints: Service {
    private let host: String
    private let port: Int
    private let health: HealthState
    private let metrics: PrometheusRegistry
    private let logger: Logger
    private let onListening: @Sendable (_ port: Int) async -> Void

    /// - Parameters:
    ///   - values: must hold ``ServiceSettings/host`` and ``ServiceSettings/port``.
    ///   - onListening: called once with the real port (port 0 takes a free one).
    package init(
        _ values: SettingValues, health: HealthState, metrics: PrometheusRegistry, logger: Logger,
        onListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) {
        host = values[ServiceSettings.host]
        port = values[ServiceSettings.port]
        self.health = health
        self.metrics = metrics
        self.logger = logger
        self.onListening = onListening
    }

    /// Serves until graceful shutdown or cancellation.
    ///
    /// - Throws: when the address cannot be had, e.g. the port is taken.
    package func run() async throws {
        let router = Router()
        ServiceRoutes.add(to: router, health: health, metrics: metrics)
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let application = Application(
            router: router, configuration: .init(address: .hostname(host, port: port)),
            onServerRunning: { [logger, onListening] channel in
                guard let port = channel.localAddress?.port else { return }
                logger.info("Listened for health and metrics", metadata: ["port": "\(port)"])
                await onListening(port)
            }, logger: quiet)
        try await application.run()
    }
}
