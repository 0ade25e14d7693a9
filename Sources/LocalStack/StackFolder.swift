import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// The data folder of a stack, locked as long as this object lives.
///
/// It holds `lock`, `stack-id`, `addresses.env` while the stack runs, `logs`, `postgres`, `kafka` and `objects`.
final class StackFolder: Sendable {
    let path: String
    /// Marks the stack's workers (`STREAMFORGE_STACK`), so that later stacks on this folder find them.
    let stackID: String
    private let lock: Int32

    var logs: String { "\(path)/logs" }
    var workerLogs: String { "\(path)/logs/workers" }
    var postgres: String { "\(path)/postgres" }
    var kafka: String { "\(path)/kafka" }
    /// Models and what belongs to them.
    var objects: String { "\(path)/objects" }
    private var addresses: String { "\(path)/addresses.env" }

    /// Makes and locks the folder.
    ///
    /// - Throws: ``StackError`` when another stack holds it or it cannot be written.
    init(_ directory: String) throws(StackError) {
        path = URL(fileURLWithPath: directory).standardizedFileURL.path
        do {
            try FileManager.default.createDirectory(
                atPath: "\(path)/logs/workers", withIntermediateDirectories: true)
        } catch {
            throw Self.error(path, "cannot be made: \(error.localizedDescription)")
        }
        lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw Self.error(path, "cannot be locked: \(String(cString: strerror(errno)))")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let owner = (try? String(contentsOfFile: "\(path)/lock", encoding: .utf8)) ?? ""
            close(lock)
            throw Self.error(
                path,
                "is in use by the stack of process \(owner.isEmpty ? "unknown" : owner): end that one, "
                    + "or choose another folder with --data-dir")
        }
        let pid = String(getpid())
        ftruncate(lock, 0)
        pwrite(lock, pid, pid.utf8.count, 0)
        do throws(StackError) {
            stackID = try Self.loadID(path)
        } catch {
            close(lock)
            throw error
        }
    }

    deinit {
        unlink(addresses)
        close(lock)
    }

    /// Writes `NAME=value` lines for scripts, readable by us alone: they hold the database's password.
    func writeAddresses(_ variables: [String: String]) throws(StackError) {
        let text = variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined()
        unlink(addresses)
        let file = open(addresses, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw Self.error(path, "cannot be written: \(String(cString: strerror(errno)))")
        }
        defer { close(file) }
        guard write(file, text, text.utf8.count) == text.utf8.count else {
            throw Self.error(path, "cannot be written: the disk is full")
        }
    }

    /// Shows a log that lies elsewhere among the others.
    func linkLog(_ name: String, to target: String) {
        // Only a convenience: the log itself is where it is.
        try? FileManager.default.createSymbolicLink(
            atPath: "\(logs)/\(name)", withDestinationPath: target)
    }

    private static func loadID(_ path: String) throws(StackError) -> String {
        let file = "\(path)/stack-id"
        if let known = try? String(contentsOfFile: file, encoding: .utf8), known.count == 16 { return known }
        let id = (0..<16).map { _ in String(UInt8.random(in: 0...15), radix: 16) }.joined()
        do {
            try id.write(toFile: file, atomically: true, encoding: .utf8)
        } catch {
            throw Self.error(path, "cannot be written: \(error.localizedDescription)")
        }
        return id
    }

    private static func error(_ path: String, _ detail: String) -> StackError {
        StackError("data folder", "\(path) \(detail)")
    }
}
