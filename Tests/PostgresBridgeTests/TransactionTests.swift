import PostgresBridge
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct TransactionTests {
    struct Refusal: Error {}

    @Test func `commits when the body returns and rolls back when it throws`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            try await pool.withTransaction { try await $0.execute("INSERT INTO t VALUES (1)") }
            await #expect(throws: Refusal.self) {
                try await pool.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (2)")
                    throw Refusal()
                }
            }
            let ids = try await pool.execute("SELECT id FROM t").map { try $0[0, as: Int.self] }
            #expect(ids == [1])
        }
    }

    @Test func `a body that swallows an error cannot commit`() async throws {
        try await withPostgres { pool async throws in
            let error = await #expect(throws: PostgresError.self) {
                try await pool.withTransaction { transaction in
                    _ = try? await transaction.execute("SELECT 1/0")
                }
            }
            #expect(error?.sqlState == .failedTransaction)
        }
    }

    @Test func `the last statements commit together with the transaction, all or nothing`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.execute("CREATE TABLE t (id int PRIMARY KEY)")
            let rows = try await pool.withTransaction { transaction in
                try await transaction.execute("INSERT INTO t VALUES (1)")
                return try await transaction.executeAndCommit([
                    "INSERT INTO t VALUES (2)", "SELECT count(*) FROM t",
                ])
            }
            #expect(try rows.last?.first?[0, as: Int.self] == 2)
            let error = await #expect(throws: PostgresError.self) {
                try await pool.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (3)")
                    try await transaction.executeAndCommit([
                        "INSERT INTO t VALUES (4)", "INSERT INTO t VALUES (1)",
                    ])
                }
            }
            #expect(error?.sqlState == SQLState("23505") && error?.operation == "INSERT INTO t VALUES (1)")
            let swallowed = await #expect(throws: PostgresError.self) {
                try await pool.withTransaction { transaction in
                    _ = try? await transaction.execute("SELECT 1/0")
                    try await transaction.executeAndCommit([])
                }
            }
            #expect(swallowed?.sqlState == .failedTransaction)
            // The one connection is as good as new, and a transaction may do nothing at all.
            try await pool.withTransaction { _ in }
            try await pool.withTransaction { try await $0.executeAndCommit(["INSERT INTO t VALUES (5)"]) }
            let ids = try await pool.execute("SELECT id FROM t ORDER BY id").map { try $0[0, as: Int.self] }
            #expect(ids == [1, 2, 5])
        }
    }

    @Test func `a read-only transaction cannot write`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            let error = await #expect(throws: PostgresError.self) {
                try await pool.withTransaction(PostgresTransactionOptions(isReadOnly: true)) {
                    try await $0.execute("INSERT INTO t VALUES (1)")
                }
            }
            #expect(error?.sqlState == SQLState("25006"))
        }
    }

    @Test func `twenty serializable writers that conflict all get through`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (n int)")
            try await pool.execute("INSERT INTO t VALUES (0)")
            let options = PostgresTransactionOptions(isolation: .serializable, attemptsMax: 100)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await pool.withTransaction(options) { transaction in
                            let n = try await transaction.execute("SELECT n FROM t")[0][0, as: Int.self]
                            try await transaction.execute("UPDATE t SET n = \(n + 1)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await pool.execute("SELECT n FROM t")[0][0, as: Int.self] == 20)
        }
    }

    @Test func `a transaction left open does not reach the next borrower`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            try await pool.withConnection { connection async throws in
                try await connection.execute("BEGIN")
                try await connection.execute("INSERT INTO t VALUES (1)")
            }
            #expect(try await pool.execute("SELECT * FROM t").isEmpty)
        }
    }

    @Test func `a cancelled transaction is rolled back and its connection lent again`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            let hasInserted = AsyncStream.makeStream(of: Int32.self)
            let task = Task {
                try await pool.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    hasInserted.continuation.yield(await transaction.processID)
                    try await transaction.execute("SELECT pg_sleep(60)")
                }
            }
            var iterator = hasInserted.stream.makeAsyncIterator()
            let processID = await iterator.next()
            task.cancel()
            let error = await #expect(throws: PostgresError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            try await pool.withConnection { connection async throws in
                #expect(await connection.processID == processID)
                #expect(try await connection.execute("SELECT * FROM t").isEmpty)
            }
        }
    }
}
