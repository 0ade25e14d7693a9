import PostgresBridge
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PipelineTests {
    @Test(arguments: [1, 1_000, Int.max])
    func `runs 10,000 upserts and reports each`(groupSize: Int) async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)")
            let queries = (0..<10_000).map { number -> PostgresQuery in
                """
                INSERT INTO t VALUES (\(number % 5_000), 1)
                ON CONFLICT (id) DO UPDATE SET n = t.n + 1
                """
            }
            let outcomes = try await pool.withConnection {
                try await $0.pipeline(queries, groupSize: groupSize)
            }
            #expect(outcomes.count == 10_000)
            #expect(try outcomes.allSatisfy { try $0.get().affectedRows == 1 })
            let sums = try await pool.execute("SELECT count(*), sum(n) FROM t")[0]
            #expect(try sums[0, as: Int.self] == 5_000)
            #expect(try sums[1, as: Int.self] == 10_000)
        }
    }

    @Test func `a failing statement takes its group with it and no other`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int PRIMARY KEY)")
            let queries = [1, 2, 3, 3, 4, 5].map { id -> PostgresQuery in "INSERT INTO t VALUES (\(id))" }
            let outcomes = try await pool.withConnection { try await $0.pipeline(queries, groupSize: 2) }
            let codes = outcomes.map { outcome -> String in
                if case .failure(let error) = outcome {
                    error.sqlState?.rawValue ?? error.code.rawValue
                } else {
                    "ok"
                }
            }
            #expect(codes == ["ok", "ok", "aborted", "23505", "ok", "ok"])
            let ids = try await pool.execute("SELECT id FROM t ORDER BY id").map { try $0[0, as: Int.self] }
            #expect(ids == [1, 2, 4, 5])
        }
    }

    @Test func `the error of many is the cause, and nothing took effect`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int PRIMARY KEY)")
            let error = await #expect(throws: PostgresError.self) {
                try await pool.withConnection { connection async throws in
                    try await connection.execute([
                        "INSERT INTO t VALUES (1)", "SELECT 1/0", "SELECT nonsense",
                    ])
                }
            }
            #expect(error?.sqlState == SQLState("22012"))
            #expect(try await pool.execute("SELECT * FROM t").isEmpty)
        }
    }

    @Test func `a statement that cannot be prepared reports why, and the connection goes on`() async throws {
        try await withPostgres { pool async throws in
            try await pool.withConnection { connection async throws in
                let outcomes = try await connection.pipeline(
                    ["SELECT nonsense", "SELECT nonsense", "SELECT 5"], groupSize: 1)
                #expect(throws: PostgresError.self) { try outcomes[0].get() }
                let error = #expect(throws: PostgresError.self) { try outcomes[1].get() }
                #expect(error?.sqlState == .undefinedColumn)
                #expect(try outcomes[2].get()[0][0, as: Int.self] == 5)
                #expect(try await connection.execute("SELECT 6")[0][0, as: Int.self] == 6)
            }
        }
    }

    @Test func `answers larger than any socket buffer do not block the sender`() async throws {
        try await withPostgres { pool async throws in
            let text = String(repeating: "x", count: 100_000)
            let queries = (0..<100).map { _ -> PostgresQuery in "SELECT \(text)::text" }
            let results = try await pool.withConnection { try await $0.execute(queries) }
            #expect(try results.allSatisfy { try $0[0][0, as: String.self].utf8.count == 100_000 })
        }
    }
}
