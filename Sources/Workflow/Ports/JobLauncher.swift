/// Runs attempts: as local processes, Kubernetes Jobs or in a pool.
package protocol JobLauncher: Sendable {
    /// The name stored with an attempt, e.g. `process`.
    var name: String { get }

    /// Whether a launch whose outcome is not known may be asked for again. Where it may not, the engine lets a
    /// next attempt take the place of one whose launch a crash left unrecorded.
    func isLaunchRepeatable(for target: Target) -> Bool

    /// How often a job must be looked at because it may end without telling anybody; nil: only its lease tells.
    func pollInterval(for target: Target) -> Duration?

    /// Whether a job may wait for a place long after its launch: it is asked about before its lease counts.
    func mayWait(for target: Target) -> Bool

    /// How long after the end of its lease an attempt is still in doubt, because only then the launcher knows
    /// whether its machine was lost. Zero where an attempt is lost with its lease, without asking.
    func lossGrace(for target: Target) -> Duration

    /// Starts the job of an attempt unless it exists already: calling twice yields one job.
    ///
    /// - Throws: ``LaunchError``; its kind says whether the attempt goes on, has failed, or is the last.
    func launch(_ job: Job) async throws(LaunchError) -> JobHandle

    /// The job of an attempt whose launch was not recorded; nil when there is none in sight.
    func find(_ id: InstanceID, attempt: Int, of queueID: QueueID) async throws(LaunchError) -> JobHandle?

    /// Whether a job launched earlier, maybe by a launcher that is no more, still runs.
    func state(of handle: JobHandle) async throws(LaunchError) -> JobState

    /// Ends a job by force and waits, for seconds only, until it is gone; a job that is gone already is fine.
    ///
    /// - Throws: ``LaunchError``: `underWay` while it is still ending: ask again.
    func kill(_ handle: JobHandle) async throws(LaunchError)

    /// Jobs that exist in sight of this launcher, whoever launched them: those of other installations too. None
    /// where jobs cannot outlive their attempts.
    func jobs() async throws(LaunchError) -> [JobInSight]

    /// Queues of jobs that ended, as a hint to look; may miss some.
    var ends: AsyncStream<QueueID> { get }

    /// Whether an event of a job is likely to come within some milliseconds of its launch: then the launch is
    /// written together with it. False unless said otherwise.
    func isHeardOfSoon(for target: Target) -> Bool

    /// What a job that still exists has said so far, its last `bytesMax` bytes; nil where nobody here can see it.
    func log(of handle: JobHandle, bytesMax: Int) async throws(LaunchError) -> [UInt8]?
}

extension JobLauncher {
    package func mayWait(for target: Target) -> Bool { pollInterval(for: target) == nil }
    package func lossGrace(for target: Target) -> Duration { .zero }
    package func isHeardOfSoon(for target: Target) -> Bool { false }
    package func jobs() async throws(LaunchError) -> [JobInSight] { [] }
    package func log(of handle: JobHandle, bytesMax: Int) async throws(LaunchError) -> [UInt8]? { nil }
}

/// Names one attempt of all queues, and so its job.
package struct JobKey: Sendable, Hashable {
    package var queueID: QueueID
    package var id: InstanceID
    package var attempt: Int

    package init(queueID: QueueID, id: InstanceID, attempt: Int) {
        self.queueID = queueID
        self.id = id
        self.attempt = attempt
    }

    /// Of the file its log is written to.
    package var fileName: String { "\(queueID)-\(id.step)-\(id.instance)-\(attempt).log" }
}

/// A job that exists, and what it says of itself.
package struct JobInSight: Sendable, Hashable {
    package var owner: JobKey
    package var handle: JobHandle

    package init(owner: JobKey, handle: JobHandle) {
        self.owner = owner
        self.handle = handle
    }
}

/// One attempt to run.
package struct Job: Sendable {
    package var queueID: QueueID
    package var id: InstanceID
    package var attempt: Int
    package var target: Target
    /// What is special to this attempt, for the worker; holds no secrets: those the launcher adds, by reference
    /// where it can.
    package var environment: [String: String]

    package init(
        queueID: QueueID, id: InstanceID, attempt: Int, target: Target, environment: [String: String]
    ) {
        self.queueID = queueID
        self.id = id
        self.attempt = attempt
        self.target = target
        self.environment = environment
    }
}

/// How a launcher finds a job again; stored with the attempt.
package struct JobHandle: Sendable, Hashable, Codable {
    /// The launcher that made it.
    package var launcher: String
    /// The launcher's own words, e.g. host, pid and start time.
    package var fields: [String: String]

    package init(launcher: String, fields: [String: String]) {
        self.launcher = launcher
        self.fields = fields
    }
}

package enum JobState: Sendable, Hashable {
    /// Offered, and not yet taken by a worker: its lease does not count yet.
    case queued
    /// Launched, and not running yet; its lease does not count. Why, for people: `Unschedulable: …`.
    case waiting(why: String)
    /// It will not come to run: end the attempt. `isFinal`: another one would not either.
    case stuck(why: String, isFinal: Bool)
    case running
    /// It was running, and its machine does not answer any more: a loss is none of its own fault. Whether it is
    /// lost its lease tells.
    case machineLost(why: String)
    /// Gone; how it ended, where that is known, as ``JobEnding`` reads it: `exit 20`, `signal 9`.
    case ended(how: String?)
    /// It runs, or ran, where this launcher cannot see it: another host.
    case outOfSight
}

/// Why a job could not be launched, seen or ended.
package struct LaunchError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// Asking again would end in the same way.
        case final
        /// May succeed later; an attempt whose launch met it has failed.
        case retriable
        /// Nobody answers, or nobody may ask now: nothing is known of the job. Asking again uses up no attempt.
        case unavailable
        /// What was asked for has begun and is not done yet.
        case underWay
    }

    package var operation: String
    /// For people; of an `unavailable` launch the same words each time, since it becomes a line of the history.
    package var detail: String
    package var kind: Kind

    package init(_ kind: Kind, operation: String, detail: String) {
        self.operation = operation
        self.detail = detail
        self.kind = kind
    }

    package init(operation: String, detail: String, isRetriable: Bool) {
        self.init(isRetriable ? .retriable : .final, operation: operation, detail: detail)
    }

    package var isRetriable: Bool { kind != .final }
    package var description: String { "\(operation): \(detail)" }
}
