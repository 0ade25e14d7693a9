import ServiceRuntime
import Synchronization
import Workflow

/// Runs each attempt as a process on this machine: a process group of its own, its output in a log file.
///
/// Processes outlive the launcher. The next one finds them by host, pid, start time and boot, or, when even
/// the handle was lost, by the attempt's variables in the process table.
package final class LocalProcessLauncher: JobLauncher {
    package struct Configuration: Sendable {
        /// The worker program; gets the target's name as its only argument. Targets with a program of their
        /// own have it beside this one.
        package var workerPath: String
        /// One log file an attempt is written here.
        package var logDirectory: String
        package var host: String
        /// What every worker reads beside its attempt's own variables: brokers, stores, limits. Holds secrets.
        package var environment: [String: String]
        /// Between SIGTERM and SIGKILL.
        package var killGrace: Duration
        /// Of each worker and what it starts.
        package var limits: ProcessLimits

        package init(
            workerPath: String, logDirectory: String, host: String, environment: [String: String] = [:],
            killGrace: Duration = .seconds(5), limits: ProcessLimits = ProcessLimits()
        ) {
            self.workerPath = workerPath
            self.logDirectory = logDirectory
            self.host = host
            self.environment = environment
            self.killGrace = killGrace
            self.limits = limits
        }
    }

    package let name = "process"
    package let ends: AsyncStream<QueueID>
    private let endsContinuation: AsyncStream<QueueID>.Continuation
    private let configuration: Configuration
    private let children = Mutex<[ProcessIdentity: ChildProcess]>([:])

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        (ends, endsContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1_024))
    }

    package func isLaunchRepeatable(for target: Target) -> Bool { true }
    package func pollInterval(for target: Target) -> Duration? { .milliseconds(500) }

    package func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
        if let known = try await find(job.id, attempt: job.attempt, of: job.queueID) { return known }
        let marks = Self.marks(of: job.id, attempt: job.attempt, of: job.queueID)
        let key = JobKey(queueID: job.queueID, id: job.id, attempt: job.attempt)
        let log = "\(configuration.logDirectory)/\(key.fileName)"
        let command = ChildProcess.Command(
            path(of: job.target), [job.target.rawValue],
            environment: configuration.environment.merging(job.environment) { _, own in own }
                .merging(marks) { _, mark in mark }, logFile: log, limits: configuration.limits)
        let child: ChildProcess
        do {
            child = try await ChildProcess.start(command)
        } catch {
            // No memory or too many processes pass; a missing program does not.
            throw LaunchError(
                operation: "launch \(job.id)", detail: error.description, isRetriable: error.isTransient)
        }
        children.withLock { $0[child.identity] = child }
        child.onExit { [endsContinuation] _ in endsContinuation.yield(job.queueID) }
        return handle(child.identity)
    }

    package func find(
        _ id: InstanceID, attempt: Int, of queueID: QueueID
    ) async throws(LaunchError) -> JobHandle? {
        ProcessTable.processes(withEnvironment: Self.marks(of: id, attempt: attempt, of: queueID)).first
            .map(handle)
    }

    package func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
        let (host, identity) = try parse(handle)
        guard host == configuration.host else { return .outOfSight }
        if let child = children.withLock({ $0[identity] }) {
            guard let exit = child.exit else { return .running }
            _ = children.withLock { $0.removeValue(forKey: identity) }
            return .ended(how: exit.description)
        }
        return identity.isAlive ? .running : .ended(how: nil)
    }

    package func kill(_ handle: JobHandle) async throws(LaunchError) {
        let (host, identity) = try parse(handle)
        guard host == configuration.host else { return }
        await identity.terminateGroup(grace: configuration.killGrace)
    }

    /// Workers of this machine; what a worker started itself belongs to its group and is passed over.
    package func jobs() async throws(LaunchError) -> [JobInSight] {
        ProcessTable.groupLeaders(withVariables: Self.markNames).compactMap { leader in
            guard let queueID = leader.variables["QUEUE_ID"].flatMap({ QueueID($0) }),
                let step = leader.variables["STEP"].flatMap({ StepID($0) }),
                let instance = leader.variables["INSTANCE"],
                let attempt = leader.variables["ATTEMPT"].flatMap({ Int($0) })
            else { return nil }
            let id = InstanceID(step: step, instance: instance)
            return JobInSight(
                owner: JobKey(queueID: queueID, id: id, attempt: attempt), handle: handle(leader.identity))
        }
    }

    private func path(of target: Target) -> String {
        guard target.program != Target.dummyService.program else { return configuration.workerPath }
        let folder = configuration.workerPath.split(separator: "/", omittingEmptySubsequences: false)
            .dropLast()
        return (folder + [target.program[...]]).joined(separator: "/")
    }

    private static let markNames = ["QUEUE_ID", "STEP", "INSTANCE", "ATTEMPT"]

    /// The variables that name an attempt; every worker has them.
    private static func marks(
        of id: InstanceID, attempt: Int, of queueID: QueueID
    ) -> [String: String] {
        [
            "QUEUE_ID": queueID.rawValue, "STEP": id.step.rawValue, "INSTANCE": id.instance,
            "ATTEMPT": String(attempt),
        ]
    }

    private func handle(_ identity: ProcessIdentity) -> JobHandle {
        JobHandle(
            launcher: name,
            fields: [
                "host": configuration.host, "pid": String(identity.pid),
                "start_ticks": String(identity.startTicks), "boot_id": identity.bootID,
            ])
    }

    private func parse(_ handle: JobHandle) throws(LaunchError) -> (host: String, ProcessIdentity) {
        guard let host = handle.fields["host"], let pid = handle.fields["pid"].flatMap({ Int32($0) }),
            let ticks = handle.fields["start_ticks"].flatMap({ UInt64($0) }),
            let boot = handle.fields["boot_id"]
        else {
            throw LaunchError(
                operation: "find a job", detail: "the stored handle is incomplete", isRetriable: false)
        }
        return (host, ProcessIdentity(pid: pid, startTicks: ticks, bootID: boot))
    }
}
