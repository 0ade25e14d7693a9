import PostgresBridge
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct MigrationTests {
    private static let first = Migration(
        1, "create t", sql: "CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    private static let second = Migration(2, "add row", sql: "INSERT INTO t VALUES (2)")

    @Test func `applies each migration once, in order`() async throws {
        try await withPostgres { pool async throws in
            #expect(try await pool.migrate([Self.first]) == [1])
            #expect(try await pool.migrate([Self.first, Self.second]) == [2])
            #expect(try await pool.migrate([Self.first, Self.second]) == [])
            #expect(try await pool.execute("SELECT * FROM t").count == 2)
        }
    }

    @Test func `many migrators at once apply each migration once`() async throws {
        try await withPostgres(connectionsMax: 8) { pool in
            let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<8 {
                    group.addTask { try await pool.migrate([Self.first, Self.second], schema: "app") }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.sorted() == [1, 2])
            #expect(try await pool.execute("SELECT * FROM t").count == 2)
        }
    }

    @Test func `refuses a migration that was changed after it was applied`() async throws {
        try await withPostgres { pool async throws in
            try await pool.migrate([Self.first])
            let changed = Migration(1, "create t", sql: "CREATE TABLE t (id bigint)")
            let error = await #expect(throws: PostgresError.self) { try await pool.migrate([changed]) }
            #expect(error?.code == .invalid)
        }
    }

    @Test func `refuses a schema that is newer than the program`() async throws {
        try await withPostgres { pool async throws in
            try await pool.migrate([Self.first, Self.second])
            let error = await #expect(throws: PostgresError.self) { try await pool.migrate([Self.first]) }
            #expect(error?.code == .invalid)
        }
    }

    @Test func `a failing migration leaves no trace and keeps those before it`() async throws {
        try await withPostgres { pool async throws in
            let bad = Migration(2, "bad", sql: "CREATE TABLE half (id int); SELECT 1/0")
            await #expect(throws: PostgresError.self) { try await pool.migrate([Self.first, bad]) }
            #expect(try await pool.execute("SELECT to_regclass('half')::text")[0][0, as: String?.self] == nil)
            #expect(try await pool.migrate([Self.first, Self.second]) == [2])
        }
    }
}
