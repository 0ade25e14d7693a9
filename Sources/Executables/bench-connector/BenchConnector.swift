import Foundation
import LocalStack
import ServiceRuntime

/// Measures the connector, topic to PostgreSQL store, against two peers: `psql \copy` of the same rows into
/// the same table shape with the same conflict handling, and a Python program on confluent-kafka and psycopg.
///
/// Usage: `bench-connector [--short | candles rounds portion]`; scripts/bench-connector prepares what it needs. It starts a broker and a
/// durable PostgreSQL of its own, runs the three in turns and prints medians, ratios and the connector's
/// memory. It exits with 1 when a bar is not reached. `bench-connector reader …` is the connector's process.
@main
struct BenchConnector {
    static func main() async {
        do {
            exit(try await run() ? 0 : 1)
        } catch {
            FileHandle.standardError.write(Data("bench-connector: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run() async throws -> Bool {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "reader" {
            try await ConnectorSide(arguments.dropFirst()).serve()
            return true
        }
        let plan = Plan(arguments)
        return try await withServers { try await Harness(plan: plan, servers: $0).run() }
    }

    struct Plan: Sendable {
        let candles: Int
        let rounds: Int
        /// Candles a topic holds at a time: by default about 42 MB.
        let portion: Int
        /// The same for the run that measures memory, about 9 MB: the small broker for one machine answers a
        /// fetch with all there is, whatever limit the reader names, and all of it would be in its memory.
        let memoryPortion = 20_000

        /// - Parameter arguments: `--short`, or numbers in the order of the fields above.
        init(_ arguments: [String]) {
            let isShort = arguments.contains("--short")
            let numbers = arguments.compactMap { Int($0) }
            candles = numbers.first ?? (isShort ? 200_000 : 1_000_000)
            rounds = numbers.dropFirst().first ?? (isShort ? 3 : 5)
            portion = numbers.dropFirst(2).first ?? 100_000
        }
    }

    private static func withServers<R: Sendable>(
        _ body: @Sendable (Servers) async throws -> R
    ) async throws -> R {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("bench-connector-\(ProcessInfo.processInfo.processIdentifier)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let broker = try await KafkaBroker.start(
            KafkaBroker.Choice(environment: ProcessInfo.processInfo.environment),
            directory: "\(folder)/broker", diesWithParent: true)
        let cluster: PostgresCluster
        do {
            cluster = try await PostgresCluster.start(PostgresCluster.Options(folder: "\(folder)/postgres"))
        } catch {
            await broker.stop()
            throw error
        }
        let outcome: Result<R, any Error>
        do {
            outcome = .success(try await body(Servers(broker: broker, cluster: cluster, folder: folder)))
        } catch {
            outcome = .failure(error)
        }
        await cluster.stop()
        await broker.stop()
        return try outcome.get()
    }
}

/// What a measurement runs against.
struct Servers: Sendable {
    let broker: KafkaBroker
    let cluster: PostgresCluster
    let folder: String
}

struct BenchError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
