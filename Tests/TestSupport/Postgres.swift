internal import Foundation
internal import LocalStack
package import PostgresBridge
internal import Synchronization

/// Runs `body` with a new, empty database of a real PostgreSQL server.
///
/// One server serves the whole test process; it is started on the first call and ends with the process,
/// however that ends. The database is dropped afterwards. Only a few bodies run at once, the others wait for their
/// turn: tests that measure leases by the server's clock must not all share two cores.
package func withPostgres<R>(
    connectionsMax: Int = 8, isolation: isolated (any Actor)? = #isolation,
    _ body: (PostgresPool) async throws -> R
) async throws -> R {
    // One that asks for a second database has its turn already.
    guard !Turn.isTaken else { return try await withDatabase(connectionsMax, body) }
    await Turn.turns.take()
    let outcome: Result<R, any Error>
    do {
        outcome = .success(
            try await Turn.$isTaken.withValue(true) { try await withDatabase(connectionsMax, body) })
    } catch {
        outcome = .failure(error)
    }
    await Turn.turns.giveBack()
    return try outcome.get()
}

private func withDatabase<R>(
    _ connectionsMax: Int, isolation: isolated (any Actor)? = #isolation,
    _ body: (PostgresPool) async throws -> R
) async throws -> R {
    let cluster = try await TestPostgres.shared.cluster()
    let server = PostgresPool(url: cluster.url, connectionsMax: 1)
    let name = "test_\(UInt64.random(in: 0...UInt64.max))"
    try await server.execute("CREATE DATABASE \(identifier: name)")
    let pool = PostgresPool(url: cluster.url.with(database: name), connectionsMax: connectionsMax)
    let outcome: Result<R, any Error>
    do {
        outcome = .success(try await body(pool))
    } catch {
        outcome = .failure(error)
    }
    await pool.close()
    // FORCE: a test of broken connections may leave a session behind.
    try await server.execute("DROP DATABASE \(identifier: name) WITH (FORCE)")
    await server.close()
    return try outcome.get()
}

/// Lets a few tests at a time have a database.
private actor Turn {
    @TaskLocal static var isTaken = false
    static let turns = Turn()

    private var free = 8
    private var waiters: [CheckedContinuation<Void, Never>] = []

    func take() async {
        guard free == 0 else {
            free -= 1
            return
        }
        await withCheckedContinuation { waiters.append($0) }
    }

    func giveBack() {
        if waiters.isEmpty { free += 1 } else { waiters.removeFirst().resume() }
    }
}

/// The one server of this test process.
private actor TestPostgres {
    static let shared = TestPostgres()

    private var starting: Task<PostgresCluster, any Error>?

    func cluster() async throws -> PostgresCluster {
        if let starting { return try await starting.value }
        // Unstructured: tests that run at once wait for the same start, and one that is cancelled must not
        // take it from the others.
        let task = Task { () async throws -> PostgresCluster in
            TestFolders.removeLeftOvers()
            var options = PostgresCluster.Options(folder: try TestFolders.make())
            options.isDurable = false
            options.connectionsMax = 200
            return try await PostgresCluster.start(options)
        }
        starting = task
        return try await task.value
    }
}

/// Folders of test servers: `/tmp/streamforge-postgres-<process id>-…`, removed by a later test process.
private enum TestFolders {
    private static let prefix = "streamforge-postgres-"

    static func make() throws -> String {
        let folder =
            "/tmp/\(prefix)\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        return folder
    }

    /// The server ends with the test process, but nobody is left to remove its files then.
    static func removeLeftOvers() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/tmp")) ?? []
        for name in names where name.hasPrefix(prefix) {
            let pid = name.dropFirst(prefix.count).prefix { $0.isNumber }
            if FileManager.default.fileExists(atPath: "/proc/\(pid)") { continue }
            try? FileManager.default.removeItem(atPath: "/tmp/\(name)")
        }
    }
}
