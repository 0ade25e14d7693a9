import DocumentStores
import Foundation
import LocalStack
import PostgresBridge
import ServiceRuntime
import Workflow

/// Measures the PostgreSQL document store against `psql \copy` with the same rows, table shape and conflict
/// handling, on a private durable server.
///
/// Usage: `bench-store [documents] [rounds]`, by default 1,000,000 and 5. Both sides read the same file of
/// `key TAB json` lines and write into a new collection each time, in turns. The store writes batches of
/// 10,000, each a transaction that moves the stream's position; psql copies all into a staging table and
/// moves it with insert-or-ignore, as one transaction.
@main
struct BenchStore {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        let documents = arguments.first ?? 1_000_000
        let rounds = arguments.dropFirst().first ?? 5
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("bench-store-\(ProcessInfo.processInfo.processIdentifier)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }

        let cluster = try await PostgresCluster.start(PostgresCluster.Options(folder: "\(folder)/postgres"))
        let outcome: Result<Void, any Error>
        do {
            let input = "\(folder)/candles.tsv"
            let bytes = try CandleFile.write(input, documents: documents)
            print("\(documents) documents of \(bytes / documents) bytes, \(rounds) rounds")
            try await Bench(cluster: cluster, input: input, documents: documents).run(rounds: rounds)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await cluster.stop()
        try outcome.get()
    }
}

/// The two sides, and what they took.
struct Bench {
    let cluster: PostgresCluster
    let input: String
    let documents: Int

    func run(rounds: Int) async throws {
        let store = try await PostgreSQLDocumentStore.open(cluster.url)
        let pool = PostgresPool(url: cluster.url, connectionsMax: 1)
        var ours: [Double] = []
        var peer: [Double] = []
        for round in 0..<rounds {
            ours.append(
                try await measure("store", round, pool, store) { try await writeThroughStore($0, store) })
            peer.append(try await measure("psql", round, pool, store) { try await writeThroughPsql($0) })
        }
        let (a, b) = (Statistics(ours), Statistics(peer))
        print("store  \(a)\npsql   \(b)")
        print("ratio  \(formatted(a.median / b.median)) (median rows/s, store over psql)")
        await pool.close()
        await store.close()
    }

    /// - Returns: rows a second.
    private func measure(
        _ name: String, _ round: Int, _ pool: PostgresPool, _ store: PostgreSQLDocumentStore,
        _ body: (CollectionName) async throws -> Void
    ) async throws -> Double {
        guard let collection = CollectionName("bench_\(name)_\(round)") else {
            preconditionFailure("the name is legal")
        }
        try await store.ensureCollection(collection, indexes: [])
        // What the side before has left to write is not ours to pay.
        try await pool.execute("CHECKPOINT")
        let start = ContinuousClock.now
        try await body(collection)
        let seconds = start.duration(to: .now) / .seconds(1)
        let count = try await pool.execute(
            "SELECT count(*) FROM documents.\(identifier: collection.rawValue)")
        guard try count[0][0, as: Int.self] == documents else {
            throw BenchError(message: "\(name) lost rows")
        }
        try await store.dropCollection(collection)
        print("  round \(round) \(name): \(Int(Double(documents) / seconds)) rows/s")
        return Double(documents) / seconds
    }

    private func writeThroughStore(
        _ collection: CollectionName, _ store: PostgreSQLDocumentStore
    ) async throws {
        let stream = StreamName(topic: "\(collection)-data", partition: 0)
        var progress = try await store.claim(stream, attempt: 1)
        var reader = try CandleFile.Reader(input)
        var batch = DocumentBatch()
        while try reader.fill(&batch) {
            let next = progress.nextOffset + Int64(batch.count)
            let advance = StreamAdvance(
                stream: stream, from: progress, nextOffset: next, lastSequence: next, deadLetters: 0)
            let outcome = try await store.write(
                batch, to: collection, mode: .insertOrIgnore, advance: advance
            ) { refused in throw BenchError(message: "refused: \(refused)") }
            progress = outcome.progress ?? progress
        }
        guard progress.recordsWritten == Int64(documents) else {
            throw BenchError(message: "progress is wrong")
        }
    }

    private func writeThroughPsql(_ collection: CollectionName) async throws {
        let script = """
            \\set ON_ERROR_STOP on
            BEGIN;
            CREATE TEMPORARY TABLE staging (_key text COLLATE "C" NOT NULL, document jsonb NOT NULL) ON COMMIT DROP;
            \\copy staging FROM '\(input)'
            INSERT INTO documents."\(collection)" SELECT _key, document FROM staging ON CONFLICT DO NOTHING;
            COMMIT;
            """
        let file = "\(input).sql"
        try script.write(toFile: file, atomically: true, encoding: .utf8)
        let command = ChildProcess.Command(
            "\(cluster.programsFolder)/psql", ["-X", "-q", "-f", file],
            environment: [
                "PGHOST": cluster.url.host, "PGPORT": "\(cluster.url.port)",
                "PGDATABASE": cluster.url.database, "PGUSER": cluster.url.user,
                "PGPASSFILE": try passwordFile(),
            ],
            logFile: "\(input).psql.log")
        let psql = try await ChildProcess.start(command)
        guard let exit = await psql.waitForExit(timeout: .seconds(600)), exit.isSuccess else {
            let log = (try? String(contentsOfFile: "\(input).psql.log", encoding: .utf8)) ?? ""
            throw BenchError(message: "psql failed: \(log)")
        }
    }

    private func passwordFile() throws -> String {
        let file = "\(input).pgpass"
        let password = try String(contentsOfFile: cluster.passwordFile, encoding: .utf8)
        let isWritten = FileManager.default.createFile(
            atPath: file, contents: Data("*:*:*:*:\(password)\n".utf8), attributes: [.posixPermissions: 0o600]
        )
        guard isWritten else { throw BenchError(message: "cannot write \(file)") }
        return file
    }
}

struct BenchError: Error {
    var message: String
}

struct Statistics: CustomStringConvertible {
    let sorted: [Double]

    init(_ values: [Double]) {
        sorted = values.sorted()
    }

    var median: Double {
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    var description: String {
        "median \(Int(median)) rows/s, from \(Int(sorted.first ?? 0)) to \(Int(sorted.last ?? 0))"
    }
}

func formatted(_ number: Double) -> String {
    String(format: "%.2f", number)
}
