import Foundation
import LocalStack
import Logging
import ServiceLifecycle

/// Runs a stack while `body` runs, then ends it as Ctrl-C would.
///
/// - Throws: what the stack or `body` throws; the stack's own error comes first.
func withStack(
    _ options: StackOptions, _ body: @escaping @Sendable (StackAddresses) async throws -> Void
) async throws {
    let (ready, continuation) = AsyncStream<StackAddresses>.makeStream()
    let stack = LocalStack(options, onReady: { continuation.yield($0) })
    let group = ServiceGroup(
        services: [stack], logger: Logger(label: "stack") { _ in SwiftLogNoOpLogHandler() })
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { continuation.finish() }
            try await group.run()
        }
        tasks.addTask {
            for await addresses in ready {
                do {
                    try await body(addresses)
                } catch {
                    await group.triggerGracefulShutdown()
                    throw error
                }
                await group.triggerGracefulShutdown()
            }
        }
        // Not waitForAll(): that would let the other task go on after an error.
        while try await tasks.next() != nil {}
    }
}

/// A new folder, removed afterwards.
func withTemporaryFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = FileManager.default.temporaryDirectory.appending(path: "stack-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

/// A stack without a queue-manager: what its own parts need and nothing else.
func smallStack(in folder: String, mark: String) throws -> StackOptions {
    var environment = ProcessInfo.processInfo.environment
    for name in ["POSTGRES_URL", "BINANCE_API_URL", "ARANGO_URL"] { environment[name] = nil }
    // Inherited by the exchange, so that a test finds its process.
    environment["STACK_TEST"] = mark
    environment["EXCHANGE_DATA_DIR"] = try linkRecordings(["BTCUSDT"], into: folder)
    var options = StackOptions(environment: environment)
    options.dataDirectory = "\(folder)/data"
    options.runsQueueManager = false
    options.isDurable = false
    return options
}

/// A folder with the recordings of a few symbols: a debug build takes seconds to read the whole sample.
func linkRecordings(_ symbols: [String], into folder: String) throws -> String {
    let sample = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "../../data/sample/candles")
    let recordings = "\(folder)/recordings"
    try FileManager.default.createDirectory(
        atPath: "\(recordings)/candles", withIntermediateDirectories: true)
    for symbol in symbols
    where !FileManager.default.fileExists(atPath: "\(recordings)/candles/\(symbol)-5m.csv.gz") {
        try FileManager.default.createSymbolicLink(
            atPath: "\(recordings)/candles/\(symbol)-5m.csv.gz",
            withDestinationPath: sample.standardizedFileURL.appending(path: "\(symbol)-5m.csv.gz").path)
    }
    return recordings
}
