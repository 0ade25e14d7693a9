import PostgresBridge
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CopyTests {
    struct Refusal: Error {}
    private static let statement = "COPY t FROM STDIN"

    @Test func `stores what is written in pieces cut anywhere`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int, name text)")
            let rows = Array((0..<100_000).map { "\($0)\tname \($0)\n" }.joined().utf8)
            let count = try await pool.withConnection { connection async throws in
                try await connection.copyIn(Self.statement) { writer in
                    for start in stride(from: 0, to: rows.count, by: 99_991) {
                        try await writer.write(Array(rows[start..<min(start + 99_991, rows.count)]))
                    }
                }
            }
            #expect(count == 100_000)
            #expect(try await pool.execute("SELECT sum(id) FROM t")[0][0, as: Int.self] == 4_999_950_000)
        }
    }

    @Test func `a refused row leaves nothing behind and the connection usable`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            try await pool.withConnection { connection async throws in
                let error = await #expect(throws: PostgresError.self) {
                    try await connection.copyIn(Self.statement, bytes: Array("1\n2\nthree\n4\n".utf8))
                }
                #expect(error?.sqlState == .invalidTextRepresentation)
                #expect(try await connection.execute("SELECT * FROM t").isEmpty)
                #expect(try await connection.copyIn(Self.statement, bytes: Array("5\n".utf8)) == 1)
            }
        }
    }

    @Test func `a body that throws gives the copy up`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            try await pool.withConnection { connection async throws in
                await #expect(throws: Refusal.self) {
                    try await connection.copyIn(Self.statement) { writer in
                        try await writer.write(Array("1\n".utf8))
                        throw Refusal()
                    }
                }
                #expect(try await connection.execute("SELECT * FROM t").isEmpty)
            }
        }
    }

    @Test func `other statements are refused while a copy runs`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            try await pool.withConnection { connection async throws in
                let error = await #expect(throws: PostgresError.self) {
                    _ = try await connection.copyIn(Self.statement) { _ in
                        try await connection.execute("SELECT 1")
                    }
                }
                #expect(error?.code == .busy)
                #expect(try await connection.execute("SELECT 1").count == 1)
            }
        }
    }

    @Test func `a session killed in the middle of a copy is a lost connection`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            let piece = Array(String(repeating: "1234567\n", count: 100_000).utf8)
            let error = await #expect(throws: PostgresError.self) {
                try await pool.withConnection { connection async throws in
                    let processID = await connection.processID
                    _ = try await connection.copyIn(Self.statement) { writer in
                        try await writer.write(piece)
                        try await pool.terminate(processID)
                        for _ in 0..<1_000 { try await writer.write(piece) }
                    }
                }
            }
            #expect(error?.isConnectionLost == true)
            #expect(try await pool.execute("SELECT * FROM t").isEmpty)
        }
    }

    @Test func `something that is no copy is told`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            await #expect(throws: PostgresError.self) {
                try await pool.withConnection { try await $0.copyIn("SELECT 1", bytes: []) }
            }
            await #expect(throws: PostgresError.self) {
                try await pool.withConnection { try await $0.copyIn("COPY nothing FROM STDIN", bytes: []) }
            }
            await #expect(throws: PostgresError.self) { try await pool.execute("COPY (SELECT 1) TO STDOUT") }
            #expect(try await pool.execute("SELECT 1").count == 1)
        }
    }
}
