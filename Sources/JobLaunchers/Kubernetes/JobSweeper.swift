import KubernetesBridge
import ServiceLifecycle
import Synchronization
import Workflow

/// Deletes Jobs that nobody needs any more, once their logs are kept: those of attempts that the engine is done
/// with, and those of attempts it does not know.
package final class JobSweeper: Service {
    /// Which of these attempts the engine is done with, or has never heard of.
    package typealias Finished = @Sendable ([JobKey]) async throws -> Set<JobKey>
    /// Runs the body unless another replica does so at this moment.
    package typealias OneAtATime = @Sendable (_ body: @Sendable () async throws -> Void) async throws -> Void

    /// Of Jobs that are still seen, by uid.
    private struct Memory {
        var deleted: Set<String> = []
        var logTries: [String: Int] = [:]
    }

    private let launcher: KubernetesLauncher
    private let finished: Finished
    private let oneAtATime: OneAtATime
    private let observe: KubernetesObserver
    private let memory = Mutex(Memory())

    /// Between looks at finished Jobs; all Jobs are looked at every ``everyJob``th time.
    private static let interval = Duration.seconds(1)
    private static let everyJob = 30
    /// Jobs asked about in one query.
    private static let batchMax = 500
    /// Jobs whose logs are read and which are deleted side by side.
    private static let parallelMax = 8
    /// A log that cannot be kept holds its Job up for so many rounds.
    private static let logTriesMax = 5

    package init(
        _ launcher: KubernetesLauncher, finished: @escaping Finished, oneAtATime: @escaping OneAtATime,
        observe: @escaping KubernetesObserver
    ) {
        self.launcher = launcher
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
        let here = Set(view.jobs(finishedOnly: false).map(\.metadata.uid))
        let deleted = memory.withLock { memory in
            memory.deleted.formIntersection(here)
            memory.logTries = memory.logTries.filter { here.contains($0.key) }
            return memory.deleted
        }
        let jobs = view.jobs(finishedOnly: !all).filter {
            $0.metadata.deletionTimestamp == nil && !deleted.contains($0.metadata.uid)
        }
        guard !jobs.isEmpty else { return }
        try await oneAtATime {
            for start in stride(from: 0, to: jobs.count, by: Self.batchMax) {
                let batch = jobs[start..<min(start + Self.batchMax, jobs.count)]
                let over = try await self.finished(batch.compactMap(\.key))
                await self.delete(batch.filter { $0.key.map(over.contains) ?? false })
            }
        }
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
        let uid = job.metadata.uid
        guard await launcher.logs.save(of: uid, launcher.view) || hasTriedEnough(uid) else { return }
        do throws(KubernetesError) {
            try await launcher.client.delete(.jobs, name: job.metadata.name, uid: uid, .background)
            observe(.jobDeleted(name: job.metadata.name))
        } catch  where error.code == .notFound || error.code == .conflict {
            // Gone already.
        } catch {
            return observe(.sweepFailed(error: error.description))
        }
        memory.withLock { _ = $0.deleted.insert(uid) }
    }

    private func hasTriedEnough(_ uid: String) -> Bool {
        memory.withLock { memory in
            memory.logTries[uid, default: 0] += 1
            return memory.logTries[uid, default: 0] >= Self.logTriesMax
        }
    }
}
