import PostgresBridge
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ListenerTests {
    @Test func `hears notifications, and again after its session was killed`() async throws {
        try await withPostgres { pool async throws in
            var configuration = pool.configuration
            configuration.applicationName = "listener"
            let listener = PostgresListener(configuration, channels: ["changed", "Odd name"])
            var events = listener.makeAsyncIterator()
            #expect(try await events.next() == .listening)
            try await pool.execute("SELECT pg_notify('Odd name', 'a')")
            #expect(try await events.next() == .notification(.init(channel: "Odd name", payload: "a")))

            let killed = try await pool.execute(
                """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE application_name = 'listener' AND datname = current_database()
                """)
            #expect(killed.count == 1)
            #expect(try await events.next() == .listening)
            try await pool.execute("NOTIFY changed")
            #expect(try await events.next() == .notification(.init(channel: "changed", payload: "")))
        }
    }

    @Test func `equal notifications that wait are one`() async throws {
        try await withPostgres { pool async throws in
            let listener = PostgresListener(pool.configuration, channels: ["c"])
            var events = listener.makeAsyncIterator()
            #expect(try await events.next() == .listening)
            // Different transactions: the server itself merges equal ones of one transaction.
            for payload in ["a", "b", "a", "a", "b"] {
                try await pool.execute("SELECT pg_notify('c', \(payload))")
            }
            try await pool.execute("SELECT pg_notify('c', 'end')")
            var heard: [String] = []
            while case .notification(let notification) = try await events.next() {
                heard.append(notification.payload)
                if notification.payload == "end" { break }
            }
            #expect(heard.first == "a" && heard.count <= 6)
            #expect(Set(heard) == ["a", "b", "end"])
        }
    }

    @Test func `ends when its task is cancelled`() async throws {
        try await withPostgres { pool async throws in
            let listener = PostgresListener(pool.configuration, channels: ["c"])
            let started = AsyncStream.makeStream(of: Void.self)
            let task = Task {
                for try await _ in listener { started.continuation.yield() }
            }
            var iterator = started.stream.makeAsyncIterator()
            await iterator.next()
            task.cancel()
            try await task.value
        }
    }
}
