internal import Foundation
package import PostgresBridge
package import ServiceRuntime

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
        /// false for tests: a power cut may then destroy the data, a crash of the server does not lose it.
        package var isDurable = true
        /// A first start creates the cluster: seconds on a slow disk. A crashed one is recovered first.
        package var startTimeout = Duration.seconds(60)
        package var connectionsMax = 100

        package init(folder: String) {
            self.folder = folder
        }
    }

    static let user = "streamforge"

    /// The database named in the options; the user owns the cluster.
    package let url: PostgresURL
    /// The folder of `psql`, `pg_dump` and their like.
    package let programsFolder: String
    private let process: ChildProcess
    private let logFile: String

    private init(url: PostgresURL, programsFolder: String, process: ChildProcess, logFile: String) {
        self.url = url
        self.programsFolder = programsFolder
        self.process = process
        self.logFile = logFile
    }

    /// Creates the cluster if need be, starts it and waits until it answers.
    ///
    /// - Throws: ``PostgresClusterError``: one line that says what to do.
    package static func start(_ options: Options) async throws -> PostgresCluster {
        let programs = try PostgresPrograms.find()
        let files = try PostgresFolder(options.folder)
        let password = try await files.prepare(programs, isDurable: options.isDurable)
        let deadline = ContinuousClock.now + options.startTimeout
        var lastError = PostgresClusterError(folder: options.folder, message: "no start was tried")
        while ContinuousClock.now < deadline {
            do {
                return try await startOnce(options, programs, files, password: password, deadline: deadline)
            } catch let error as PostgresClusterError where error.isWorthAnotherTry {
                lastError = error
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        throw lastError
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
        let port = try options.port ?? FreePort.find()
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
            url: url.with(database: options.database), programsFolder: programs.folder, process: process,
            logFile: files.log)
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
        var configuration = PostgresConfiguration(url: url)
        configuration.connectTimeout = .seconds(2)
        while true {
            do {
                let connection = try await PostgresConnection.open(configuration)
                await connection.close()
                return
            } catch {
                // The server is up and will not let us in: waiting does not help.
                if error.isRefusedLogin {
                    throw files.error(
                        "refuses our password: \(error.message); remove the folder to begin anew")
                }
                if error.code == .cancelled { throw CancellationError() }
            }
            if process.exit != nil {
                throw files.error("did not start: \(files.lastFatalLine(after: logStart))", isOfServer: true)
            }
            guard ContinuousClock.now < deadline else {
                throw files.error("was not ready in time; see \(files.log)")
            }
            try await Task.sleep(for: .milliseconds(50))
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
