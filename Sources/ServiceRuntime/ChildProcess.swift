internal import CPosix
import Dispatch
import Glibc
import Synchronization

/// A program we started: in a process group of its own, output to a file, ended with its whole group.
package final class ChildProcess: Sendable {
    /// How a process ended.
    package enum Exit: Sendable, Hashable, CustomStringConvertible {
        case code(Int32)
        case signal(Int32)

        package var isSuccess: Bool { self == .code(0) }
        package var description: String {
            switch self {
            case .code(let code): "exit \(code)"
            case .signal(let number): "signal \(number)"
            }
        }
    }

    /// What to start.
    package struct Command: Sendable {
        /// An absolute path; nothing is looked up in PATH.
        package var executable: String
        package var arguments: [String]
        /// The whole environment of the child: nothing is inherited. Secrets belong here or in files, never
        /// in `arguments`, which every user of the machine can read.
        package var environment: [String: String]
        /// nil keeps ours.
        package var workingDirectory: String?
        /// Standard output and error are appended to this file; nil passes ours on.
        package var logFile: String?
        /// The kernel sends SIGKILL when our process ends in whatever way. Needs `setpriv` of util-linux.
        package var diesWithParent: Bool
        /// What the kernel grants it at the most. Needs `prlimit` of util-linux where one is set.
        package var limits: ProcessLimits

        package init(
            _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
            workingDirectory: String? = nil, logFile: String? = nil, diesWithParent: Bool = false,
            limits: ProcessLimits = ProcessLimits()
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.workingDirectory = workingDirectory
            self.logFile = logFile
            self.diesWithParent = diesWithParent
            self.limits = limits
        }
    }

    package let identity: ProcessIdentity
    private let state: Mutex<State>

    private struct State {
        var exit: Exit?
        var waiters: [UInt64: CheckedContinuation<Exit?, Never>] = [:]
        var nextWaiter: UInt64 = 0
        var callbacks: [@Sendable (Exit) -> Void] = []
    }

    private init(identity: ProcessIdentity) {
        self.identity = identity
        state = Mutex(State())
    }

    package var pid: Int32 { identity.pid }
    /// nil while it runs.
    package var exit: Exit? { state.withLock { $0.exit } }

    /// Starts a program; returns once it was created (not once it is ready).
    ///
    /// - Throws: ``ChildProcessError`` with the reason, e.g. no such file.
    package static func start(_ command: Command) async throws(ChildProcessError) -> ChildProcess {
        let result = await withCheckedContinuation { continuation in
            // One thread a child creates it and waits for it: "dies with parent" is tied to the creating
            // thread (prctl(2), PR_SET_PDEATHSIG), so that thread must outlive the child.
            DispatchQueue(label: "child-process").async {
                switch spawn(command) {
                case .failure(let error):
                    continuation.resume(returning: Result<ChildProcess, ChildProcessError>.failure(error))
                case .success(let pid):
                    let child = ChildProcess(identity: ProcessIdentity.ofLiveProcess(pid))
                    continuation.resume(returning: .success(child))
                    child.finish(with: reap(pid))
                }
            }
        }
        return try result.get()
    }

    /// Waits until the process has ended; nil when it still runs after `timeout`.
    package func waitForExit(timeout: Duration) async -> Exit? {
        await withTaskGroup(of: Exit?.self) { group in
            group.addTask { await self.exitOrCancellation() }
            group.addTask {
                // A cancelled sleep only means the other task was first.
                try? await Task.sleep(for: timeout)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? self.exit
        }
    }

    /// Sends a signal to the whole process group.
    package func signal(_ number: Int32) {
        guard exit == nil else { return }
        kill(-pid, number)
    }

    /// SIGTERM, then SIGKILL to the group when it still runs after `grace`.
    @discardableResult
    package func terminate(grace: Duration) async -> Exit? {
        signal(SIGTERM)
        if let exit = await waitForExit(timeout: grace) { return exit }
        signal(SIGKILL)
        return await waitForExit(timeout: .seconds(10))
    }

    /// Calls `body` once when the process ends, at once if it has; on a thread of its own, so be brief.
    package func onExit(_ body: @escaping @Sendable (Exit) -> Void) {
        let known = state.withLock { state in
            if state.exit == nil { state.callbacks.append(body) }
            return state.exit
        }
        if let known { body(known) }
    }

    private func exitOrCancellation() async -> Exit? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known: Exit?? = state.withLock { state in
                    if let exit = state.exit { return .some(exit) }
                    if Task.isCancelled { return .some(nil) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: nil)
        }
    }

    private func finish(with exit: Exit) {
        let (waiters, callbacks) = state.withLock { state in
            state.exit = exit
            defer {
                state.waiters = [:]
                state.callbacks = []
            }
            return (state.waiters, state.callbacks)
        }
        for waiter in waiters.values { waiter.resume(returning: exit) }
        for callback in callbacks { callback(exit) }
    }
}

/// Why a program could not be started.
package struct ChildProcessError: Error, Sendable, Equatable, CustomStringConvertible {
    package var executable: String
    package var errorNumber: Int32

    /// Whether it may work later: the machine is out of processes, memory or files just now.
    package var isTransient: Bool { [EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY].contains(errorNumber) }

    package var description: String {
        "cannot start \(executable): \(String(cString: strerror(errorNumber)))"
    }
}

// MARK: - The system calls

private func spawn(_ command: ChildProcess.Command) -> Result<pid_t, ChildProcessError> {
    // In the child, before the program begins: nothing runs without its limits, whatever becomes of us.
    var arguments = command.limits.prefix + [command.executable] + command.arguments
    if command.diesWithParent { arguments = ["/usr/bin/setpriv", "--pdeathsig", "KILL"] + arguments }
    let environment = command.environment.map { "\($0.key)=\($0.value)" }

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    if let logFile = command.logFile {
        posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, logFile, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    }
    if let workingDirectory = command.workingDirectory {
        cposix_spawn_change_directory(&actions, workingDirectory)
    }
    // Sockets and files of ours that lack close-on-exec must not live on in the child.
    cposix_spawn_close_from(&actions, 3)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Ignored signals and the mask are inherited through exec: the child must hear SIGTERM.
    var all = sigset_t()
    sigfillset(&all)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

    var pid = pid_t()
    let code = withCStrings(arguments) { argumentPointers in
        withCStrings(environment) { environmentPointers in
            posix_spawn(&pid, arguments[0], &actions, &attributes, argumentPointers, environmentPointers)
        }
    }
    guard code == 0 else {
        return .failure(ChildProcessError(executable: command.executable, errorNumber: code))
    }
    return .success(pid)
}

private func reap(_ pid: pid_t) -> ChildProcess.Exit {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) == -1, errno == EINTR {}
    let signal = status & 0x7f
    return signal == 0 ? .code((status >> 8) & 0xff) : .signal(signal)
}

private func withCStrings<R>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the array holds at least nil") }
        return body(base)
    }
}
