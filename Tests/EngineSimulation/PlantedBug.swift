/// Mistakes that engines of this kind are known for, planted at the engine's ports: a simulation that does not
/// find them is worth nothing.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// An event of an older attempt is taken for one of the current attempt.
    case staleEventsTaken
    /// A lease is judged though heartbeats lie unread in the topic.
    case leaseJudgedBeforeBacklog
    /// A job that ended is called lost though its final event lies unread in the topic.
    case endJudgedBeforeBacklog
    /// The offset of queue-events moves in a transaction of its own, before the events are applied.
    case offsetOutsideTransaction
    /// An offer that may have been sent is sent again.
    case doubledLaunch
    /// A request changes the queue and nobody is told to look.
    case lostWakeup
    /// Stops for lost attempts never leave the outbox.
    case droppedStops
    /// A claim outlives the replica that made it.
    case claimForever
    /// So does the ownership of an event partition.
    case partitionForever
    /// A new attempt gets the number of the lost one.
    case reusedAttemptNumber
    /// Ending a job by force does nothing.
    case ignoredKill
    /// An instance that failed keeps its locks.
    case keptHold
    /// Nobody sweeps what belongs to nobody.
    case noSweep
    /// The sweep takes every queue for one that was cleaned up.
    case sweptTooEarly
}
