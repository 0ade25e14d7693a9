import Foundation
import PostgresBridge
import ServiceRuntime

/// A private PostgreSQL server: own data folder, own port on 127.0.0.1, own password.
///
/// Its folder holds `data` (the server's), `password` (mode 0600), `run` (the Unix socket) and `log`. Start
/// again on the same folder and the data is there again. When our process ends in whatever way, the server
/// shuts down.
package final class PostgresCluster: Sendable {
    package struct Options: Sendable {
        /// Created if missing.
        package var folder: String
        /// nil: a free one, another at each start.
        package var port: Int?
        package var database = "streamforge"
        /// false for tests: a crash of the server may then lose the last commits, a power cut all the data.
        package var isDurable = true
        /// A first start creates the cluster: seconds on a slow disk. A crashed one is recovered first.
        package var startTimeout = Duration.seconds(60)
        package var connectionsMax = 100

        package init(folder: String) {
            self.folder = folder
        }
    }

    static let user = "streamforge"
    /// A server that was told to end, or whose parent was killed, may need this long to let go.
    private static let predecessorPatience = Duration.seconds(10)

    /// The database named in the options; the user owns the cluster.
    package let url: PostgresURL
    /// The folder of `psql`, `pg_dump` and their like.
    package let programsFolder: String
    /// Holds the password, mode 0600.
    package let passwordFile: String
    private let process: ChildProcess

    private init(url: PostgresURL, programsFolder: String, passwordFile: String, process: ChildProcess) {
        self.url = url
        self.programsFolder = programsFolder
        self.passwordFile = passwordFile
        self.process = process
    }

    /// Creates the cluster if need be, starts it and waits until it answers.
    ///
    /// - Throws: ``PostgresClusterError``: one line that says what to do.
    package static func start(_ options: Options) async throws -> PostgresCluster {
        let programs = try PostgresPrograms.find()
        let files = try PostgresFolder(options.folder)
        let password = try await files.prepare(programs, isDurable: options.isDurable)
        let deadline = ContinuousClock.now + options.startTimeout
        let patienceEnd = ContinuousClock.now + min(options.startTimeout / 2, predecessorPatience)
        while true {
            do {
                return try await startOnce(options, programs, files, password: password, deadline: deadline)
            } catch let error as PostgresClusterError where error.isWorthAnotherTry {
                guard ContinuousClock.now < patienceEnd else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    /// nil while the server runs.
    package var exit: ChildProcess.Exit? { process.exit }
    package var processID: Int32 { process.pid }

    /// Ends the server: sessions are cut off and the data is written (fast shutdown); a server that does
    /// not end in `timeout` is told to drop everything (its data is recovered at the next start), then
    /// killed.
    package func stop(timeout: Duration = .seconds(20)) async {
        process.signal(SIGINT)
        if await process.waitForExit(timeout: timeout) != nil { return }
        process.signal(SIGQUIT)
        if await process.waitForExit(timeout: .seconds(5)) != nil { return }
        await process.terminate(grace: .zero)
    }

    private static func startOnce(
        _ options: Options, _ programs: PostgresPrograms, _ files: PostgresFolder, password: String,
        deadline: ContinuousClock.Instant
    ) async throws -> PostgresCluster {
        guard let port = options.port ?? LoopbackPort.free() else {
            throw PostgresClusterError(folder: "127.0.0.1", message: "no free port")
        }
        try files.checkNotInUse()
        let logStart = files.logSize
        let command = files.command(programs.postgres, serverArguments(options, port: port))
        let process = try await ChildProcess.start(command)
        let url = PostgresURL(
            host: "127.0.0.1", port: port, database: "postgres", user: user, password: password)
        do {
            try await waitUntilReady(url, process, files, logStart: logStart, deadline: deadline)
            try await createDatabase(options.database, url)
        } catch {
            process.signal(SIGQUIT)
            await process.terminate(grace: .seconds(5))
            throw error
        }
        return PostgresCluster(
            url: url.with(database: options.database), programsFolder: programs.folder,
            passwordFile: files.passwordFile, process: process)
    }

    private static func serverArguments(_ options: Options, port: Int) -> [String] {
        var settings = [
            "listen_addresses": "127.0.0.1", "port": String(port), "unix_socket_directories": "../run",
            "max_connections": String(options.connectionsMax), "shared_buffers": "128MB", "jit": "off",
            "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "1GB", "timezone": "UTC",
            "log_timezone": "UTC", "log_checkpoints": "off", "password_encryption": "scram-sha-256",
        ]
        if !options.isDurable {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] { settings[name] = "off" }
        }
        return settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
    }

    private static func waitUntilReady(
        _ url: PostgresURL, _ process: ChildProcess, _ files: PostgresFolder, logStart: UInt64,
        deadline: ContinuousClock.Instant
    ) async throws {
        // Whoever answers at the port may be somebody else's server until ours has said that it is ready.
        while !files.isReady(process.pid) {
            if process.exit != nil {
                throw files.error("did not start: \(files.lastFatalLine(after: logStart))", isOfServer: true)
            }
            guard ContinuousClock.now < deadline else {
                throw files.error("was not ready in time; see \(files.log)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        do {
            let connection = try await PostgresConnection.open(PostgresConfiguration(url: url))
            await connection.close()
        } catch {
            guard error.isRefusedLogin else { throw error }
            throw files.error("refuses our password: \(error.message); remove the folder to begin anew")
        }
    }

    private static func createDatabase(_ name: String, _ url: PostgresURL) async throws {
        let connection = try await PostgresConnection.open(PostgresConfiguration(url: url))
        let known = try await connection.execute("SELECT 1 FROM pg_database WHERE datname = \(name)")
        if known.isEmpty { try await connection.execute("CREATE DATABASE \(identifier: name)") }
        await connection.close()
    }
}

/// Why the private PostgreSQL server could not be started.
package struct PostgresClusterError: Error, Sendable, Equatable, CustomStringConvertible {
    package var folder: String
    package var message: String
    /// The server's own words are in `message`.
    var isOfServer = false

    package var description: String { "PostgreSQL in \(folder): \(message)" }

    /// The server before us is still on its way out, or somebody took the free port first.
    var isWorthAnotherTry: Bool {
        isOfServer
            && ["in use", "another postmaster", "Address already"].contains { message.contains($0) }
    }
}
