internal import Foundation
package import KafkaBridge
internal import LocalStack

/// Gives a test the broker of its suite, or starts one for it, and ends it afterwards.
///
/// One broker serves many tests when a suite wraps itself in one call or uses ``SharedBroker``; topics are
/// told apart by ``uniqueName(_:)``.
package func withBroker<Result: Sendable>(
    _ body: (KafkaConnection) async throws -> Result
) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appending(path: uniqueName("broker")).path
    let broker = try await KafkaBroker.start(
        KafkaBroker.Choice(environment: ProcessInfo.processInfo.environment), directory: directory,
        diesWithParent: true)
    do {
        let result = try await body(broker.connection)
        await broker.stop(grace: .seconds(5))
        try? FileManager.default.removeItem(atPath: directory)
        return result
    } catch {
        await broker.stop(grace: .seconds(5))
        try? FileManager.default.removeItem(atPath: directory)
        throw error
    }
}

/// A name that no other test and no earlier run used, e.g. for a topic, a group or a transactional id.
package func uniqueName(_ purpose: String) -> String {
    "\(purpose)-\(UUID().uuidString.prefix(8).lowercased())"
}
