import PostgresBridge
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct QueryTests {
    @Test func `binds and reads every type`() async throws {
        try await withPostgres { pool async throws in
            let bytes: [UInt8] = [0, 1, 92, 255]
            let nothing: Int? = nil
            let row = try await pool.execute(
                """
                SELECT \("it's $1; \\ é")::text AS s, \(Int.min)::bigint AS i, \(Int32.max)::int AS i32,
                    \(true)::bool AS b, \(1.5e-300)::float8 AS d, \(Double.infinity)::float8 AS inf,
                    \(bytes)::bytea AS bytes, \(PostgresJSON("{\"a\": [1]}"))::jsonb AS json,
                    \(["a,b", "c\"d\\", "", "NULL", "{x}", " "])::text[] AS texts,
                    \([1, -2, Int64.max])::bigint[] AS numbers, \(nothing)::int AS n
                """
            )[0]
            #expect(try row["s", as: String.self] == "it's $1; \\ é")
            #expect(try row["i", as: Int.self] == .min)
            #expect(try row["i32", as: Int32.self] == .max)
            #expect(try row["b", as: Bool.self])
            #expect(try row["d", as: Double.self] == 1.5e-300)
            #expect(try row["inf", as: Double.self] == .infinity)
            #expect(try row["bytes", as: [UInt8].self] == bytes)
            #expect(try row["json", as: PostgresJSON.self] == PostgresJSON("{\"a\": [1]}"))
            #expect(try row["texts", as: [String].self] == ["a,b", "c\"d\\", "", "NULL", "{x}", " "])
            #expect(try row["numbers", as: [Int64].self] == [1, -2, .max])
            #expect(try row["n", as: Int?.self] == nil)
            #expect(try row[1, as: Int?.self] == .min)
        }
    }

    @Test func `an interpolated value is never SQL text`() {
        let name = "x'; DROP TABLE y; --"
        let query: PostgresQuery = "SELECT * FROM \(identifier: "a\"b") WHERE name = \(name) AND n < \(3)"
        #expect(query.sql == "SELECT * FROM \"a\"\"b\" WHERE name = $1 AND n < $2")
        #expect(query.parameters == [.text(name), .text("3")])
    }

    @Test func `a value of another type is a decoding error that names the column`() async throws {
        try await withPostgres { pool async throws in
            let row: PostgresRow = try await pool.execute(
                "SELECT 'x' AS word, NULL::int AS nothing, 300 AS big")[0]
            #expect(throws: PostgresError.self) { try row["word", as: Int?.self] }
            #expect(throws: PostgresError.self) { try row["nothing", as: Int.self] }
            #expect(throws: PostgresError.self) { try row["absent", as: Int.self] }
            let error = #expect(throws: PostgresError.self) { try row["word", as: Int.self] }
            #expect(error?.code == .decoding)
            #expect(error?.message.contains("word") == true)
        }
    }

    @Test func `a text with a NUL is refused before anything is sent`() async throws {
        try await withPostgres { pool async throws in
            try await pool.withConnection { connection async throws in
                let error = await #expect(throws: PostgresError.self) {
                    try await connection.execute(["SELECT 1", "SELECT \("a\0b")::text"])
                }
                #expect(error?.code == .invalid)
                #expect(try await connection.execute("SELECT 7")[0][0, as: Int.self] == 7)
            }
        }
    }

    @Test func `errors carry SQLSTATE, constraint and the statement, not the parameters`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int CONSTRAINT one_id PRIMARY KEY)")
            try await pool.execute("INSERT INTO t VALUES (\(41))")
            let error = await #expect(throws: PostgresError.self) {
                try await pool.execute("INSERT INTO t  VALUES\n (\(41))")
            }
            #expect(error?.sqlState == .uniqueViolation)
            #expect(error?.constraint == "one_id")
            #expect(error?.severity == "ERROR")
            #expect(error?.operation == "INSERT INTO t VALUES ($1)")
            #expect(error?.isRetriable == false)
            let secret = await #expect(throws: PostgresError.self) {
                try await pool.execute("CREATE ROLE x PASSWORD 'hunter2' nonsense")
            }
            #expect(secret?.operation.contains("hunter2") == false)
        }
    }

    @Test func `a table that changed its columns costs one error, then statements are prepared anew`()
        async throws
    {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.execute("CREATE TABLE t (a int)")
            try await pool.execute("INSERT INTO t VALUES (1)")
            #expect(try await pool.execute("SELECT * FROM t").columns == ["a"])
            try await pool.execute("ALTER TABLE t ADD b int")
            await #expect(throws: PostgresError.self) { try await pool.execute("SELECT * FROM t") }
            #expect(try await pool.execute("SELECT * FROM t").columns == ["a", "b"])
        }
    }

    @Test func `more texts than the cache holds still run`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            for number in 0..<600 {
                let result = try await pool.execute("SELECT \(number)::int AS c\(raw: "\(number)")")
                #expect(try result[0][0, as: Int.self] == number)
            }
            let count = try await pool.execute("SELECT count(*) FROM pg_prepared_statements")
            #expect(try count[0][0, as: Int.self] <= pool.configuration.preparedStatementsMax)
        }
    }
}

@Suite
struct PostgresURLTests {
    @Test func `reads a URL and never prints the password`() throws {
        let url = try PostgresURL("postgresql://me:s%40crt@db.example:6000/app")
        #expect(url.host == "db.example" && url.port == 6000 && url.user == "me" && url.database == "app")
        #expect(!"\(url)".contains("s@crt"))
        #expect(
            try PostgresURL(url.revealed)
                == PostgresURL("host=db.example port=6000 dbname=app user=me password=s@crt"))
        #expect(url.with(database: "other").database == "other")
    }

    @Test func `a bad URL is told without repeating it`() {
        let error = #expect(throws: PostgresError.self) { try PostgresURL("postgresql://me:%zz@host/db") }
        #expect(error?.code == .invalid)
        #expect(error.map { "\($0)".contains("zz") } == false)
    }
}
