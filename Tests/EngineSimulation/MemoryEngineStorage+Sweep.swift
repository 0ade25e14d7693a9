import QueueManager
import Workflow

extension MemoryEngineStorage: SweepStorage {
    package func topicOwners(_ ids: [QueueID]) async throws -> [QueueID: TopicOwner] {
        var owners: [QueueID: TopicOwner] = [:]
        for id in ids {
            guard let state = state(of: id) else { continue }
            let isCleaned = state.isCleaned || bugs.contains(.sweptTooEarly)
            owners[id] =
                isCleaned
                ? .cleaned(state.plan, runs: state.run) : state.status.isFinal ? .ended : .open
        }
        return owners
    }

    package func goneAttempts(_ owners: [JobKey], for time: Duration) async throws -> Set<JobKey> {
        let latest = now - time.milliseconds
        return Set(
            owners.filter { owner in
                let attempt = state(of: owner.queueID)?.attempts[AttemptID(owner.id, owner.attempt)]
                guard let attempt, attempt.isGone, let endedAt = attempt.endedAt else { return false }
                return endedAt <= latest
            })
    }
}
