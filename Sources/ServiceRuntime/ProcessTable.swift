import Glibc

/// Names one process of one boot of one machine: process ids alone are used again.
package struct ProcessIdentity: Sendable, Hashable, Codable {
    package var pid: Int32
    /// Clock ticks from boot to the start of the process (proc(5), `/proc/PID/stat` field 22).
    package var startTicks: UInt64
    /// `/proc/sys/kernel/random/boot_id`.
    package var bootID: String

    package init(pid: Int32, startTicks: UInt64, bootID: String) {
        self.pid = pid
        self.startTicks = startTicks
        self.bootID = bootID
    }

    /// The identity of a process that exists now (a child not yet waited for); ticks are 0 if it is gone.
    package static func ofLiveProcess(_ pid: Int32) -> ProcessIdentity {
        ProcessIdentity(
            pid: pid, startTicks: ProcessTable.stat(pid)?.startTicks ?? 0, bootID: ProcessTable.bootID)
    }

    /// Whether this very process still runs; one that ended but was not waited for (a zombie) does not.
    package var isAlive: Bool {
        guard bootID == ProcessTable.bootID, let stat = ProcessTable.stat(pid) else { return false }
        return stat.startTicks == startTicks && stat.state != "Z" && stat.state != "X"
    }

    /// Sends a signal to the process's group if the process is still this one.
    ///
    /// The check and the signal are two steps; a pid that ended and was given out again in between would
    /// need the whole pid range to pass in microseconds.
    package func signalGroup(_ number: Int32) {
        if isAlive { kill(-pid, number) }
    }

    /// SIGTERM to the group, then SIGKILL when it still runs after `grace`; waits until it is gone, at most
    /// five seconds longer.
    package func terminateGroup(grace: Duration) async {
        signalGroup(SIGTERM)
        if await hasEnded(within: grace) { return }
        signalGroup(SIGKILL)
        _ = await hasEnded(within: .seconds(5))
    }

    /// A process that is not our child cannot be waited for, so it is looked at every 20 ms.
    private func hasEnded(within limit: Duration) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while isAlive {
            guard ContinuousClock.now < deadline else { return false }
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return !isAlive }
        }
        return true
    }
}

/// Reads the kernel's process table.
package enum ProcessTable {
    package struct Stat: Sendable, Equatable {
        /// `R`, `S`, `D`, `T` (stopped), `Z` (zombie) …
        package var state: Character
        package var startTicks: UInt64
        /// A program is being put in place (execve(2)): its environment cannot be read yet.
        package var isStarting: Bool
    }

    package static let bootID: String = {
        String(decoding: readFile("/proc/sys/kernel/random/boot_id", bytesMax: 64) ?? [], as: UTF8.self)
            .split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    }()

    /// nil when there is no such process.
    package static func stat(_ pid: Int32) -> Stat? {
        guard let bytes = readFile("/proc/\(pid)/stat", bytesMax: 4096) else { return nil }
        // The program's name is in parentheses and may itself hold spaces and parentheses.
        guard let close = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(close + 1)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 48, let state = fields[0].first, let flags = UInt64(fields[6]),
            let ticks = UInt64(fields[19]), let environmentEnd = UInt64(fields[48])
        else { return nil }
        // Threads of the kernel and processes about to end have no environment either.
        let hasNone = flags & (Flag.isOfKernel | Flag.isExiting) != 0 || state == "Z" || state == "X"
        return Stat(state: state, startTicks: ticks, isStarting: environmentEnd == 0 && !hasNone)
    }

    /// Bits of `/proc/PID/stat` field 9 (the kernel's include/linux/sched.h).
    private enum Flag {
        static let isExiting: UInt64 = 0x4
        static let isOfKernel: UInt64 = 0x20_0000
    }

    /// The live processes whose environment holds every one of `variables`.
    ///
    /// Processes of other users are passed over unless we are root.
    package static func processes(withEnvironment variables: [String: String]) -> [ProcessIdentity] {
        let wanted = variables.map { Array("\($0.key)=\($0.value)".utf8) }
        return processIDs().compactMap { pid in
            let identity = ProcessIdentity.ofLiveProcess(pid)
            guard let environment = environmentBytes(of: pid) else { return nil }
            let entries = Set(environment.split(separator: 0).map(Array.init))
            guard wanted.allSatisfy(entries.contains), identity.isAlive else { return nil }
            return identity
        }
    }

    /// The environment of a process as it was started; nil when it is gone or not ours to read.
    package static func environment(of pid: Int32) -> [String: String]? {
        guard let bytes = environmentBytes(of: pid) else { return nil }
        return Dictionary(
            bytes.split(separator: 0).compactMap { entry in
                let parts = entry.split(
                    separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else { return nil }
                return (String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self))
            }, uniquingKeysWith: { first, _ in first })
    }

    /// The environment as the kernel gives it: entries that each end with a zero byte.
    ///
    /// The kernel sets it as the last of an execve(2), when whoever started the process goes on already: until
    /// then it reads as empty. That takes microseconds, and milliseconds on a busy machine; it is waited for
    /// at most 100 ms, or what was just launched would not be found and be launched once more.
    private static func environmentBytes(of pid: Int32) -> [UInt8]? {
        let deadline = ContinuousClock.now + .milliseconds(100)
        var isSettled = false
        while true {
            guard let bytes = readFile("/proc/\(pid)/environ", bytesMax: 1 << 20) else { return nil }
            if !bytes.isEmpty || isSettled || ContinuousClock.now > deadline { return bytes }
            // Read once more when it is settled: it may have been set since.
            isSettled = stat(pid)?.isStarting != true
            if !isSettled { usleep(1_000) }
        }
    }

    static func processIDs() -> [Int32] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var pids: [Int32] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let pid = Int32(name) { pids.append(pid) }
        }
        return pids
    }
}

/// Reads a small file whole; nil when it cannot be read or is larger than `bytesMax`.
package func readFile(_ path: String, bytesMax: Int) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count == 0 { return bytes }
        if count < 0 {
            if errno == EINTR { continue }
            return nil
        }
        bytes.append(contentsOf: chunk[..<count])
        if bytes.count > bytesMax { return nil }
    }
}
