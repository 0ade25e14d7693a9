import KubernetesBridge
import ServiceLifecycle
import Synchronization
import Workflow

/// Deletes Jobs that nobody needs any more, once their logs are kept: those of attempts that the engine is done
/// with, and those of attempts it does not know.
package final class JobSweeper: Service {
    /// Which of these attempts the engine is done with, and which it has never heard of.
    package typealias Finished =
        @Sendable ([JobKey]) async throws -> (done: Set<JobKey>, unknown: Set<JobKey>)
    /// Runs the body unless another replica does so at this moment.
    package typealias OneAtATime = @Sendable (_ body: @Sendable () async throws -> Void) async throws -> Void

    private let launcher: KubernetesLauncher
    private let finished: Finished
    private let oneAtATime: OneAtATime
    private let observe: KubernetesObserver
    private let unknownAge: Duration
    /// Uids of Jobs that were deleted and are still seen.
    private let deleted = Mutex<Set<String>>([])

    /// Between looks at finished Jobs; all Jobs are looked at every ``everyJob``th time.
    private static let interval = Duration.seconds(1)
    private static let everyJob = 30
    /// Jobs asked about in one query.
    private static let batchMax = 500
    /// Jobs whose logs are read and which are deleted side by side.
    private static let parallelMax = 8

    /// - Parameter unknownAge: how long a Job must have been seen before it is deleted because its attempt is not
    ///   known: a database that was put back to yesterday is not a reason to end what runs.
    package init(
        _ launcher: KubernetesLauncher, finished: @escaping Finished, oneAtATime: @escaping OneAtATime,
        unknownAge: Duration = .seconds(600), observe: @escaping KubernetesObserver
    ) {
        self.launcher = launcher
        self.unknownAge = unknownAge
        self.finished = finished
        self.oneAtATime = oneAtATime
        self.observe = observe
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var number = 0
            while !Task.isCancelled {
                do {
                    try await self.round(all: number % Self.everyJob == 0)
                } catch {
                    if !Task.isCancelled { self.observe(.sweepFailed(error: "\(error)")) }
                }
                number += 1
                // Cancelled: the loop ends at its head.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// Looks once.
    ///
    /// - Parameter all: also at Jobs that run, e.g. one whose launch came through after its attempt was given up.
    package func round(all: Bool) async throws {
        let view = launcher.view
        guard view.isComplete else { return }
        let here = Set(view.jobs(finishedOnly: false).map(\.job.metadata.uid))
        let gone = deleted.withLock { deleted in
            deleted.formIntersection(here)
            return deleted
        }
        let jobs = view.jobs(finishedOnly: !all).filter {
            $0.job.metadata.deletionTimestamp == nil && !gone.contains($0.job.metadata.uid)
        }
        guard !jobs.isEmpty else { return }
        try await oneAtATime {
            for start in stride(from: 0, to: jobs.count, by: Self.batchMax) {
                let batch = jobs[start..<min(start + Self.batchMax, jobs.count)]
                let answer = try await self.finished(batch.compactMap(\.job.key))
                await self.delete(batch.filter { self.isOver($0, answer) }.map(\.job))
            }
        }
    }

    private func isOver(
        _ seen: ClusterView.SeenJob, _ answer: (done: Set<JobKey>, unknown: Set<JobKey>)
    ) -> Bool {
        guard let key = seen.job.key else { return false }
        return answer.done.contains(key) || (answer.unknown.contains(key) && seen.age >= unknownAge)
    }

    private func delete(_ jobs: [JobObject]) async {
        var next = 0
        await withTaskGroup(of: Void.self) { group in
            while next < jobs.count {
                if next >= Self.parallelMax { _ = await group.next() }
                let job = jobs[next]
                group.addTask { await self.delete(job) }
                next += 1
            }
        }
    }

    private func delete(_ job: JobObject) async {
        let place = JobPlace(job, namespace: launcher.client.configuration.namespace)
        let time = launcher.client.limits.requestTimeout
        guard await launcher.logs.save(of: place, launcher.view, within: time) else { return }
        do throws(KubernetesError) {
            try await launcher.client.delete(.jobs, name: place.name, uid: place.uid, .background)
            observe(.jobDeleted(name: place.name))
        } catch  where error.code == .notFound || error.code == .conflict {
            // Gone already.
        } catch {
            return observe(.sweepFailed(error: error.description))
        }
        deleted.withLock { _ = $0.insert(place.uid) }
    }
}
