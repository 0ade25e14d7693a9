import Logging
import ServiceLifecycle

/// Runs services until one ends or SIGTERM or SIGINT asks them all to.
///
/// - Parameters:
///   - services: started in this order, shut down in the reverse order; each finishes what it holds.
///   - grace: how long shutdown may take; services still running then are cancelled.
/// - Throws: the first error of a service.
package func runServices(_ services: [any Service], grace: Duration, logger: Logger) async throws {
    var configuration = ServiceGroupConfiguration(
        services: services.map {
            // A service that returns by itself ends the program in an orderly way, not by cancellation.
            .init(
                service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup)
        },
        gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    configuration.maximumGracefulShutdownDuration = grace
    try await ServiceGroup(configuration: configuration).run()
}
