import Foundation
import Glibc
import ServiceRuntime

/// PostgreSQL's server programs.
struct PostgresPrograms: Sendable {
    var folder: String
    var initdb: String { "\(folder)/initdb" }
    var postgres: String { "\(folder)/postgres" }

    /// The newest of Debian's versions, else what is in PATH.
    static func find(environment: [String: String] = ProcessInfo.processInfo.environment) throws
        -> PostgresPrograms
    {
        let debian = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: debian)) ?? []
        let newestFirst = versions.compactMap { Double($0) == nil ? nil : $0 }
            .sorted { (Double($0) ?? 0) > (Double($1) ?? 0) }
        let path = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for folder in newestFirst.map({ "\(debian)/\($0)/bin" }) + path {
            let programs = PostgresPrograms(folder: folder)
            if access(programs.initdb, X_OK) == 0, access(programs.postgres, X_OK) == 0 { return programs }
        }
        throw PostgresClusterError(
            folder: debian,
            message: "no initdb and postgres found: install them with `apt-get install postgresql`")
    }
}

/// The files of one cluster, and who they belong to.
///
/// The server refuses to run as root, so root lends it to the user `postgres`. That user may not be able to
/// walk down to the folder (e.g. under /root): the programs get it as an open file descriptor, which needs
/// no rights on the way (`/proc/self/fd`, proc(5)).
struct PostgresFolder: Sendable {
    private static let descriptor = "/proc/self/fd/9"

    let path: String
    /// nil: the server runs as ourselves.
    private let owner: (user: uid_t, group: gid_t)?
    private var data: String { "\(path)/data" }
    var passwordFile: String { "\(path)/password" }
    var log: String { "\(path)/log" }

    init(_ folder: String) throws {
        path = URL(fileURLWithPath: folder).standardizedFileURL.path
        guard geteuid() == 0 else {
            owner = nil
            return
        }
        var existing = stat()
        if stat("\(path)/data", &existing) == 0, existing.st_uid != 0 {
            // Begun by a user of this machine, without root.
            owner = (existing.st_uid, existing.st_gid)
        } else if let postgres = getpwnam("postgres") {
            owner = (postgres.pointee.pw_uid, postgres.pointee.pw_gid)
        } else {
            throw PostgresClusterError(
                folder: folder,
                message: "runs not as root, and there is no user postgres: run as another user")
        }
    }

    /// Creates what is missing.
    ///
    /// - Returns: the password.
    func prepare(_ programs: PostgresPrograms, isDurable: Bool) async throws -> String {
        for folder in [path, "\(path)/run"] {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try giveToOwner(folder)
        }
        let password = try loadPassword()
        if !FileManager.default.fileExists(atPath: "\(data)/PG_VERSION") {
            try await create(programs, isDurable: isDurable)
        } else {
            try checkVersion(programs)
        }
        return password
    }

    /// A command that runs a server program on the data folder as its owner. It ends with us: on SIGQUIT
    /// PostgreSQL ends at once and cleans up.
    func command(_ program: String, _ arguments: [String], data: String? = nil) -> ChildProcess.Command {
        var lines = ["/usr/bin/setpriv", "--pdeathsig", "QUIT"]
        if let owner { lines += ["--reuid=\(owner.user)", "--regid=\(owner.group)", "--clear-groups"] }
        lines += [program, "-D", Self.descriptor] + arguments
        return ChildProcess.Command(
            "/bin/sh", ["-c", "exec 9<\"$1\"; shift; exec \"$@\"", "sh", data ?? self.data] + lines,
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"], workingDirectory: "/",
            logFile: log)
    }

    /// - Throws: when a server works on the folder now. A `postmaster.pid` that was left behind is fine.
    func checkNotInUse() throws {
        guard let text = try? String(contentsOfFile: "\(data)/postmaster.pid", encoding: .utf8),
            let pid = text.split(whereSeparator: \.isNewline).first.flatMap({ Int32($0) })
        else { return }
        let isServer =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) == data
        guard isServer else {
            // The server takes any live process of its user with that id for its predecessor.
            try FileManager.default.removeItem(atPath: "\(data)/postmaster.pid")
            return
        }
        throw error("is in use by process \(pid): end that one, or choose another folder", isOfServer: true)
    }

    /// The server writes its id into the first line of `postmaster.pid` and its state into the eighth.
    func isReady(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "\(data)/postmaster.pid", encoding: .utf8) else {
            return false
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.count > 7 && Int32(lines[0]) == pid && lines[7].hasPrefix("ready")
    }

    var logSize: UInt64 {
        let attributes = try? FileManager.default.attributesOfItem(atPath: log)
        return (attributes?[.size] as? NSNumber)?.uint64Value ?? 0
    }

    /// The reason a program gave for ending, from its log.
    func lastFatalLine(after start: UInt64) -> String {
        guard let file = FileHandle(forReadingAtPath: log), (try? file.seek(toOffset: start)) != nil,
            let bytes = try? file.read(upToCount: 1 << 20)
        else { return "see \(log)" }
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        let telling = lines.last { line in
            ["FATAL:", "PANIC:", "error:", "could not bind"].contains { line.contains($0) }
        }
        let address = lines.last { $0.contains("could not bind") }
        return (address ?? telling ?? lines.last).map(String.init) ?? "it said nothing"
    }

    func error(_ message: String, isOfServer: Bool = false) -> PostgresClusterError {
        PostgresClusterError(folder: path, message: message, isOfServer: isOfServer)
    }

    /// initdb works beside the final place, so that one that is killed leaves no half cluster.
    private func create(_ programs: PostgresPrograms, isDurable: Bool) async throws {
        let new = "\(path)/data.new"
        try? FileManager.default.removeItem(atPath: new)
        try FileManager.default.createDirectory(
            atPath: new, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        try giveToOwner(new)
        let logStart = logSize
        var arguments = [
            "-U", PostgresCluster.user, "--pwfile=\(Self.descriptor)/../password", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-instructions",
        ]
        if !isDurable { arguments.append("--no-sync") }
        let process = try await ChildProcess.start(command(programs.initdb, arguments, data: new))
        guard let exit = await process.waitForExit(timeout: .seconds(120)) else {
            await process.terminate(grace: .seconds(2))
            throw error("initdb did not end in 120 s; see \(log)")
        }
        guard exit.isSuccess else {
            throw error("initdb failed: \(lastFatalLine(after: logStart))")
        }
        guard rename(new, data) == 0 else { throw error("cannot create \(data): \(lastSystemError)") }
    }

    private func checkVersion(_ programs: PostgresPrograms) throws {
        let version = (try? String(contentsOfFile: "\(data)/PG_VERSION", encoding: .utf8)) ?? ""
        let major = version.split(whereSeparator: \.isNewline).first.map(String.init) ?? "?"
        // Debian's folder name is the major version; a PATH install has no such name to compare.
        let installed = programs.folder.split(separator: "/").dropLast().last.map(String.init) ?? ""
        guard Int(installed) == nil || installed == major else {
            throw error(
                "is of PostgreSQL \(major), but \(installed) is installed: install that, or remove the folder"
            )
        }
    }

    private func loadPassword() throws -> String {
        if let known = try? String(contentsOfFile: passwordFile, encoding: .utf8), !known.isEmpty {
            return known
        }
        let bytes = (0..<24).map { _ in UInt8.random(in: 0...255) }
        let password = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let file = open(passwordFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw error("cannot write \(passwordFile): \(lastSystemError)") }
        defer { close(file) }
        guard write(file, password, password.utf8.count) == password.utf8.count else {
            throw error("cannot write \(passwordFile): \(lastSystemError)")
        }
        try giveToOwner(passwordFile)
        return password
    }

    private func giveToOwner(_ path: String) throws {
        guard let owner, chown(path, owner.user, owner.group) != 0 else { return }
        throw error("cannot give \(path) to the user of the server: \(lastSystemError)")
    }

    private var lastSystemError: String { String(cString: strerror(errno)) }
}
