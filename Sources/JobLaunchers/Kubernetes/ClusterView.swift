import KubernetesBridge
import Synchronization
import Workflow

/// What two watches tell of all our Jobs and their pods: everything the launcher answers from.
final class ClusterView: Sendable {
    private struct Entry {
        var job: JobObject
        /// See ``JobFacts/firstPod``.
        var firstPod: PodObject?
        /// Pods that are known to be gone: an older list may still hold them.
        var gonePods: Set<String> = []
        var arePodsAskedFor = false
        let seenSince = ContinuousClock.now
        var waitKind = JobFacts.WaitKind.place
        var waitsSince: ContinuousClock.Instant
        /// What its queue was last told to look at.
        var told: JobState?
        /// Its queue was told that its pods must be asked for.
        var isNeedTold = false
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// By the Job's uid, then by their own.
        var pods: [String: [String: PodObject]] = [:]
        var hasJobs = false
        var hasPods = false
        var jobSight = WatchSight()
        var podSight = WatchSight()
        /// How Jobs ended that are gone, by uid: the newest ``endingsMax``.
        var endings: [String: JobState] = [:]
        var endingsInOrder: [String] = []
    }

    /// The launcher asks about a Job that is gone within seconds.
    private static let endingsMax = 8_192

    private let state = Mutex(State())
    private let limits: WaitLimits
    /// Something about this queue's Jobs is worth a look.
    private let hint: @Sendable (QueueID) -> Void

    init(limits: WaitLimits, hint: @escaping @Sendable (QueueID) -> Void) {
        self.limits = limits
        self.hint = hint
    }

    // MARK: Asking

    /// Whether both watches have told what there is.
    var isComplete: Bool { state.withLock { $0.hasJobs && $0.hasPods } }

    /// Whether it is told at this moment what happens. What was told before may be old.
    var isBlind: Bool {
        let now = ContinuousClock.now
        return state.withLock { !$0.jobSight.isClear(now) || !$0.podSight.isClear(now) }
    }

    /// See ``JobFacts/needsPods``.
    func needsPods(of uid: String) -> Bool {
        state.withLock { Self.facts(uid, $0)?.needsPods ?? false }
    }

    /// nil when it does not know such a Job.
    func state(of uid: String) -> JobState? {
        state.withLock { state in
            guard let facts = Self.facts(uid, state) else { return state.endings[uid] }
            return facts.state(limits)
        }
    }

    func isHere(_ uid: String) -> Bool { state.withLock { $0.entries[uid] != nil } }

    func pods(of uid: String) -> [PodObject] { state.withLock { Self.pods(uid, $0) } }

    func job(_ uid: String) -> JobObject? { state.withLock { $0.entries[uid]?.job } }

    struct SeenJob: Sendable {
        var job: JobObject
        /// Since it was first seen here.
        var age: Duration
    }

    /// All Jobs, or those that will do nothing any more.
    func jobs(finishedOnly: Bool) -> [SeenJob] {
        let now = ContinuousClock.now
        return state.withLock { state in
            state.entries.keys.compactMap { uid in
                guard let entry = state.entries[uid] else { return nil }
                let seen = SeenJob(job: entry.job, age: now - entry.seenSince)
                guard finishedOnly else { return seen }
                guard case .ended = Self.facts(uid, state)?.state(limits) else { return nil }
                return seen
            }
        }
    }

    var jobCount: Int { state.withLock { $0.entries.count } }

    // MARK: Being told

    /// What we made or asked for ourselves; the watch may be late, but what it has told is newer.
    func learn(_ job: JobObject) {
        update([job.metadata.uid]) { state in
            let uid = job.metadata.uid
            guard state.entries[uid] == nil, state.endings[uid] == nil else { return }
            state.entries[uid] = Entry(job: job, waitsSince: .now)
        }
    }

    /// The pods of a failed Job, as the server told when it was asked for them.
    func learn(_ pods: [PodObject], of uid: String) {
        update([uid]) { state in
            guard let entry = state.entries[uid] else { return }
            for pod in pods where !entry.gonePods.contains(pod.metadata.uid) {
                state.pods[uid, default: [:]][pod.metadata.uid] = pod
            }
            state.entries[uid]?.arePodsAskedFor = true
        }
    }

    private func put(_ jobs: [JobObject]) {
        update(Set(jobs.map(\.metadata.uid))) { state in
            for job in jobs {
                let uid = job.metadata.uid
                if state.entries[uid] == nil {
                    state.entries[uid] = Entry(job: job, waitsSince: .now)
                } else {
                    state.entries[uid]?.job = job
                }
            }
        }
    }

    func apply(_ news: ReflectorNews<JobObject>) {
        state.withLock { news.tell(&$0.jobSight) }
        switch news {
        case .set(let job): put([job])
        case .removed(let job): remove([job.metadata.uid], isCertain: true)
        case .replaced(let jobs):
            put(jobs)
            let present = Set(jobs.map(\.metadata.uid))
            let known = state.withLock { state in
                state.hasJobs = true
                return Set(state.entries.keys)
            }
            // What was made while the list was on its way may be missing from it.
            remove(known.subtracting(present), isCertain: false)
        case .connected, .failed: break
        }
    }

    func apply(_ news: ReflectorNews<PodObject>) {
        state.withLock { news.tell(&$0.podSight) }
        switch news {
        case .set(let pod):
            guard let uid = pod.jobUID else { return }
            update([uid]) { state in
                state.pods[uid, default: [:]][pod.metadata.uid] = pod
            }
        case .removed(let pod):
            guard let uid = pod.jobUID else { return }
            update([uid]) { state in
                state.pods[uid]?[pod.metadata.uid] = nil
                if state.pods[uid]?.isEmpty == true { state.pods[uid] = nil }
                state.entries[uid]?.gonePods.insert(pod.metadata.uid)
                // Its last words came with the news that it is gone.
                if state.entries[uid]?.firstPod.map({ $0.metadata.uid == pod.metadata.uid }) ?? true {
                    state.entries[uid]?.firstPod = pod
                }
            }
        case .replaced(let pods):
            var all: [String: [String: PodObject]] = [:]
            for pod in pods {
                guard let uid = pod.jobUID else { continue }
                all[uid, default: [:]][pod.metadata.uid] = pod
            }
            let before = state.withLock { Set($0.pods.keys) }
            update(before.union(all.keys)) { [all] state in
                state.pods = all
                state.hasPods = true
            }
        case .connected, .failed: break
        }
    }

    // MARK: Parts

    /// - Parameter isCertain: false: who asks about one of them asks the server again.
    private func remove(_ uids: Set<String>, isCertain: Bool) {
        let queues = state.withLock { state in
            uids.compactMap { uid -> QueueID? in
                guard let facts = Self.facts(uid, state) else { return nil }
                let last = facts.state(limits)
                state.entries[uid] = nil
                if case .ended = last {
                    Self.keep(last, of: uid, &state)
                } else if isCertain {
                    let deleted = JobEnding(.jobDeleted, "its job was deleted").text
                    Self.keep(.ended(how: deleted), of: uid, &state)
                }
                return facts.job.key?.queueID
            }
        }
        for queue in Set(queues) { hint(queue) }
    }

    /// Changes something and hints at queues whose Jobs are in another state now.
    private func update(_ uids: Set<String>, _ change: (inout State) -> Void) {
        let queues = state.withLock { state in
            change(&state)
            return uids.compactMap { Self.note($0, limits, &state) }
        }
        for queue in Set(queues) { hint(queue) }
    }

    private static func note(_ uid: String, _ limits: WaitLimits, _ state: inout State) -> QueueID? {
        guard var entry = state.entries[uid] else { return nil }
        let pods = pods(uid, state)
        let first = entry.firstPod?.metadata.uid ?? pods.first?.metadata.uid
        // As it is now, for when it is gone.
        entry.firstPod = pods.first { $0.metadata.uid == first } ?? entry.firstPod
        let kind = JobFacts(job: entry.job, pods: pods).waitKind
        if kind != entry.waitKind {
            entry.waitKind = kind
            entry.waitsSince = .now
        }
        state.entries[uid] = entry
        guard let facts = facts(uid, state) else { return nil }
        // Whoever looks then asks for its pods.
        if facts.needsPods, !entry.isNeedTold {
            state.entries[uid]?.isNeedTold = true
            return entry.job.key?.queueID
        }
        let now = facts.state(limits)
        guard now != entry.told else { return nil }
        state.entries[uid]?.told = now
        // Its first word and `running` are heard from the worker itself.
        switch now {
        case .ended, .stuck, .machineLost: return entry.job.key?.queueID
        case .waiting: return entry.told == nil ? nil : entry.job.key?.queueID
        default: return nil
        }
    }

    private static func facts(_ uid: String, _ state: State) -> JobFacts? {
        state.entries[uid].map { entry in
            JobFacts(
                job: entry.job, pods: pods(uid, state), firstPod: entry.firstPod,
                arePodsAskedFor: entry.arePodsAskedFor, waited: ContinuousClock.now - entry.waitsSince)
        }
    }

    private static func pods(_ uid: String, _ state: State) -> [PodObject] {
        guard let pods = state.pods[uid]?.values else { return [] }
        return pods.sorted {
            ($0.metadata.creationTimestamp ?? "", $0.metadata.name)
                < ($1.metadata.creationTimestamp ?? "", $1.metadata.name)
        }
    }

    private static func keep(_ ending: JobState, of uid: String, _ state: inout State) {
        if state.endings.updateValue(ending, forKey: uid) == nil { state.endingsInOrder.append(uid) }
        let surplus = state.endingsInOrder.count - endingsMax
        // Seldom, so that the list is moved about seldom.
        guard surplus > endingsMax / 8 else { return }
        for old in state.endingsInOrder.prefix(surplus) { state.endings[old] = nil }
        state.endingsInOrder.removeFirst(surplus)
    }
}

extension ReflectorNews {
    fileprivate func tell(_ sight: inout WatchSight) {
        if case .failed = self { sight.failed(.now) } else { sight.told(.now) }
    }
}

extension PodObject {
    /// The Job that made it.
    var jobUID: String? { metadata.owners.first { $0.kind == "Job" }?.uid }
}

extension JobObject {
    /// The attempt it was made for; nil when it is none of ours.
    package var key: JobKey? {
        JobLabels.key(labels: metadata.labels, annotations: metadata.annotations)
    }
}
