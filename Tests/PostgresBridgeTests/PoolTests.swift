import PostgresBridge
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PoolTests {
    @Test func `a hundred callers share three connections`() async throws {
        try await withPostgres(connectionsMax: 3) { pool in
            let processes = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<100 {
                    group.addTask { try await pool.execute("SELECT pg_backend_pid()")[0][0, as: Int.self] }
                }
                return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
            }
            #expect((1...3).contains(processes.count))
        }
    }

    @Test func `a caller does not wait longer than the limit, nor more callers than the limit`() async throws
    {
        try await withPostgres { database in
            var configuration = database.configuration
            configuration.connectionsMax = 1
            configuration.acquireTimeout = .milliseconds(200)
            let pool = PostgresPool(configuration)
            try await pool.withConnection { _ async throws in
                let error = await #expect(throws: PostgresError.self) { try await pool.execute("SELECT 1") }
                #expect(error?.code == .poolExhausted)
            }
            configuration.waitersMax = 0
            let narrow = PostgresPool(configuration)
            try await narrow.withConnection { _ async throws in
                let start = ContinuousClock.now
                let error = await #expect(throws: PostgresError.self) { try await narrow.execute("SELECT 1") }
                #expect(error?.code == .poolExhausted)
                #expect(start.duration(to: .now) < .milliseconds(150))
            }
            #expect(try await pool.execute("SELECT 1").count == 1)
            await pool.close()
            await narrow.close()
        }
    }

    @Test func `new connections follow a rotated password`() async throws {
        try await withPostgres { database async throws in
            let role = uniqueName("rotated").replacing("-", with: "_")
            let server = database.configuration.currentURL()
            func url(_ password: String) -> String {
                "postgres://\(role):\(password)@\(server.host):\(server.port)/\(server.database)"
            }
            try await database.execute("CREATE ROLE \(identifier: role) LOGIN PASSWORD 'old'")
            let secret = Mutex(url("old"))
            var configuration = PostgresConfiguration(
                currentURL: try PostgresURL(url("old")).following { secret.withLock(\.self) },
                connectionsMax: 1)
            configuration.acquireTimeout = .milliseconds(500)
            let pool = PostgresPool(configuration)
            let session = try await pool.execute("SELECT pg_backend_pid()")[0][0, as: Int.self]
            try await database.execute("ALTER ROLE \(identifier: role) PASSWORD 'new'")
            try await database.execute("SELECT pg_terminate_backend(\(session))")
            await #expect(throws: PostgresError.self) {
                while true { _ = try await pool.execute("SELECT 1") }
            }
            await #expect(throws: PostgresError.self) { try await pool.execute("SELECT 1") }
            secret.withLock { $0 = "no URL" }
            await #expect(throws: PostgresError.self) { try await pool.execute("SELECT 1") }
            secret.withLock { $0 = url("new") }
            #expect(try await pool.execute("SELECT 1").count == 1)
            await pool.close()
            try await database.execute("DROP ROLE \(identifier: role)")
        }
    }

    @Test func `a session killed in the middle of a statement is an error once, then replaced`() async throws
    {
        try await withPostgres { pool async throws in
            let (sessions, started) = AsyncStream<Int32>.makeStream()
            async let killed: Void = {
                for await processID in sessions { return try await pool.terminate(processID) }
            }()
            let error = await #expect(throws: PostgresError.self) {
                try await pool.withConnection { connection async throws in
                    started.yield(await connection.processID)
                    _ = try await connection.execute("SELECT pg_sleep(60)")
                }
            }
            try await killed
            #expect(error?.sqlState == .adminShutdown)
            #expect(error?.isConnectionLost == true)
            #expect(error?.isRetriable == true)
            #expect(try await pool.execute("SELECT 1").count == 1)
        }
    }

    @Test func `an idle session that was killed costs the next caller nothing`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            let processID = try await pool.withConnection { await $0.processID }
            let other = PostgresPool(url: pool.configuration.currentURL(), connectionsMax: 1)
            try await other.terminate(processID)
            #expect(try await pool.execute("SELECT 1").count == 1)
            await other.close()
        }
    }

    @Test func `a cancelled task stops its statement and the connection is used again`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            let before = try await pool.withConnection { await $0.processID }
            let start = ContinuousClock.now
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    let error = await #expect(throws: PostgresError.self) {
                        try await pool.execute("SELECT pg_sleep(60)")
                    }
                    #expect(error?.code == .cancelled)
                }
                try? await Task.sleep(for: .milliseconds(100))
                group.cancelAll()
            }
            #expect(start.duration(to: .now) < .seconds(10))
            let after = try await pool.withConnection { await $0.processID }
            #expect(before == after)
        }
    }

    @Test func `a cancelled pipeline stops between its groups`() async throws {
        try await withPostgres { pool async throws in
            try await pool.execute("CREATE TABLE t (id int)")
            let task = Task {
                try await pool.withConnection { connection async throws in
                    let queries = (0..<2_000).map { _ -> PostgresQuery in "SELECT pg_sleep(0.05)" }
                    return try await connection.pipeline(queries, groupSize: 1)
                }
            }
            try await pool.waitForActivity("pg_sleep")
            task.cancel()
            let error = await #expect(throws: PostgresError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            #expect(try await pool.execute("SELECT 1").count == 1)
        }
    }

    @Test func `the server stops a statement at its time limit`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.withConnection { connection async throws in
                try await connection.setStatementTimeout(.milliseconds(50))
                let error = await #expect(throws: PostgresError.self) {
                    try await connection.execute("SELECT pg_sleep(60)")
                }
                #expect(error?.code == .timedOut)
                #expect(error?.sqlState == .queryCancelled)
            }
            let limit = try await pool.execute("SELECT current_setting('statement_timeout')")
            #expect(try limit[0][0, as: String.self] == "30s")
        }
    }

    @Test func `a wrong password is told at once, without the password`() async throws {
        try await withPostgres { pool async throws in
            let url = pool.configuration.currentURL()
            let wrong = PostgresURL(
                host: url.host, port: url.port, database: url.database, user: url.user, password: "wr0ngpass")
            let start = ContinuousClock.now
            let error = await #expect(throws: PostgresError.self) {
                try await PostgresPool(url: wrong).execute("SELECT 1")
            }
            #expect(error?.sqlState == .invalidPassword)
            #expect(error?.isRetriable == false)
            #expect(error.map { "\($0)".contains("wr0ngpass") } == false)
            #expect(start.duration(to: .now) < .seconds(5))
        }
    }

    @Test func `a server that does not answer is tried until the limit`() async throws {
        var configuration = PostgresConfiguration(
            url: PostgresURL(host: "127.0.0.1", port: 1, database: "x", user: "x", password: nil))
        configuration.acquireTimeout = .seconds(2)
        let attempts = AsyncStream.makeStream(of: Int.self)
        let pool = PostgresPool(configuration) { observation in
            if case .connectFailed(_, let attempt) = observation { attempts.continuation.yield(attempt) }
        }
        let error = await #expect(throws: PostgresError.self) { try await pool.execute("SELECT 1") }
        #expect(error?.code == .connectFailed)
        #expect(error?.isRetriable == true)
        attempts.continuation.finish()
        #expect(await attempts.stream.reduce(0, max) > 1)
    }

    @Test func `a closed pool refuses and wakes those who wait`() async throws {
        try await withPostgres(connectionsMax: 1) { pool async throws in
            try await pool.withConnection { _ async throws in
                async let waiting = pool.execute("SELECT 1")
                await pool.close()
                do {
                    _ = try await waiting
                    Issue.record("a closed pool lent a connection")
                } catch {
                    #expect((error as? PostgresError)?.code == .closed)
                }
            }
        }
    }
}

extension PostgresPool {
    func terminate(_ processID: Int32) async throws {
        try await execute("SELECT pg_terminate_backend(\(processID), 5000)")
    }

    /// Waits until another session runs a statement that holds `text`.
    func waitForActivity(_ text: String) async throws {
        for _ in 0..<500 {
            let found = try await execute(
                """
                SELECT 1 FROM pg_stat_activity
                WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE \("%\(text)%")
                """)
            if !found.isEmpty { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("no statement with \(text) was seen")
    }
}
