import Foundation
import LocalStack
import ServiceRuntime

/// `psql \copy` of a file into a staging table, and insert-or-ignore from there, in one transaction.
struct PsqlSide {
    let cluster: PostgresCluster
    /// `key TAB json` lines.
    let rows: String

    func store(into collection: String) async throws -> Duration {
        let script = """
            \\set ON_ERROR_STOP on
            BEGIN;
            CREATE TEMPORARY TABLE staging (_key text COLLATE "C" NOT NULL, document jsonb NOT NULL) ON COMMIT DROP;
            \\copy staging FROM '\(rows)'
            INSERT INTO documents."\(collection)" SELECT _key, document FROM staging ON CONFLICT DO NOTHING;
            COMMIT;
            """
        let file = "\(rows).sql"
        try script.write(toFile: file, atomically: true, encoding: .utf8)
        let command = ChildProcess.Command(
            "\(cluster.programsFolder)/psql", ["-X", "-q", "-f", file],
            environment: [
                "PGHOST": cluster.url.host, "PGPORT": "\(cluster.url.port)",
                "PGDATABASE": cluster.url.database, "PGUSER": cluster.url.user,
                "PGPASSFILE": try passwordFile(),
            ],
            logFile: "\(rows).log")
        let start = ContinuousClock.now
        let psql = try await ChildProcess.start(command)
        guard let exit = await psql.waitForExit(timeout: .seconds(600)), exit.isSuccess else {
            throw BenchError(
                "psql failed: \((try? String(contentsOfFile: "\(rows).log", encoding: .utf8)) ?? "")")
        }
        return ContinuousClock.now - start
    }

    private func passwordFile() throws -> String {
        let file = "\(rows).pgpass"
        let password = try String(contentsOfFile: cluster.passwordFile, encoding: .utf8)
        let isWritten = FileManager.default.createFile(
            atPath: file, contents: Data("*:*:*:*:\(password)\n".utf8), attributes: [.posixPermissions: 0o600]
        )
        guard isWritten else { throw BenchError("cannot write \(file)") }
        return file
    }
}
