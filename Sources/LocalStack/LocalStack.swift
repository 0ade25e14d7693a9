import Foundation
import ServiceLifecycle
import ServiceRuntime

/// StreamForge on one machine: PostgreSQL, a broker, the replay exchange and the queue-manager.
///
/// They are started in this order, each once the one before answers, and ended in the reverse order. A part
/// that ends by itself ends the stack. When our process is killed, the parts end too; only workers stay, and
/// the next stack on the same folder ends those.
package struct LocalStack: Service {
    private let options: StackOptions
    private let onProgress: @Sendable (String) -> Void
    private let onReady: @Sendable (StackAddresses) async -> Void

    /// - Parameters:
    ///   - onProgress: told in one line what is being done.
    ///   - onReady: called once when all parts answer.
    package init(
        _ options: StackOptions, onProgress: @escaping @Sendable (String) -> Void = { _ in },
        onReady: @escaping @Sendable (StackAddresses) async -> Void
    ) {
        self.options = options
        self.onProgress = onProgress
        self.onReady = onReady
    }

    /// Runs until graceful shutdown; returns when nothing of it runs any more.
    ///
    /// - Throws: ``StackError`` and its like, one line each, when a part could not start or ended by itself.
    package func run() async throws {
        let values = try SettingsReader(environment: options.environment).read(StackSettings.table)
        let folder = try StackFolder(options.dataDirectory)
        let count = await MarkedProcesses.end(stackID: folder.stackID, grace: options.stopGrace)
        if count > 0 { onProgress("Ended \(count) processes that an earlier stack left behind") }
        let parts = RunningParts()
        let outcome: Result<Void, any Error>
        do {
            try await cancelWhenGracefulShutdown {
                let starter = StackStarter(options: options, values: values, folder: folder, parts: parts)
                let (addresses, variables) = try await starter.start(onProgress)
                try folder.writeAddresses(variables)
                await onReady(addresses)
                try await watch(parts)
            }
            outcome = .success(())
        } catch is CancellationError {
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await parts.stopAll()
        withExtendedLifetime(folder) {}  // the lock, until nothing runs any more
        try outcome.get()
    }

    /// Throws when a part has ended. Two of the parts only tell when asked, so they are asked often.
    private func watch(_ parts: RunningParts) async throws {
        while true {
            if let crash = parts.firstCrash { throw crash }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
