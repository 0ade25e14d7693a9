import Workflow

/// What the sweep asks the engine's store, the truth.
package protocol SweepStorage: Sendable {
    /// What is known of queues; those that are not stored are missing from the answer.
    func topicOwners(_ ids: [QueueID]) async throws -> [QueueID: TopicOwner]

    /// Those of the attempts that have been over for `time` at least and whose jobs count as gone: both is for
    /// good.
    func goneAttempts(_ owners: [JobKey], for time: Duration) async throws -> Set<JobKey>
}
