import Workflow

/// The engine's state as the reconciler, the event reader and the dispatcher use it.
///
/// Implemented by ``EngineStore`` (PostgreSQL, the truth) and, for the simulation, in memory; one contract suite
/// runs against both. Every method is one transaction. The store's clock is the only one that decides.
package protocol EngineStorage: Sendable {
    /// Creates queues, all or nothing; a request whose key is known creates none.
    ///
    /// With `look`, small queues that nothing limits are looked at in the same transaction: they are written as
    /// the look leaves them, claimed by its token where something is to be done outside. All others are due.
    func create(_ queues: [NewQueue], look: CreationLook?) async throws -> CreationReport

    /// Looks at queues: locks them, hands each to `work`, and writes what `work` changed.
    ///
    /// A queue whose plan has effects stays claimed until a later look with ``LookSelection/claimed(_:)`` finds
    /// none, or until the claim runs out.
    /// - Returns: the queues looked at; of the claimed ones those whose claim still held.
    func look(
        _ request: LookRequest, _ work: @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan
    ) async throws -> [LookResult]

    /// Makes claims last ``LookRequest/claimMilliseconds`` from now; those that were lost are passed over.
    func renew(_ claims: [QueueClaim]) async throws

    /// Gives up a claim after a failure: the queue is looked at again after `milliseconds`.
    func release(_ claim: QueueClaim, lookAgain milliseconds: Int64) async throws

    /// Milliseconds until some queue wants to be looked at, at most `limit`.
    func millisecondsToNextLook(limit: Int64) async throws -> Int64

    /// Asks for a look at a queue now.
    func requestLook(at id: QueueID) async throws

    /// Claims event partitions that nobody owns, renews those of `owner` and returns all of these.
    ///
    /// - Parameter caughtUp: partitions of which everything up to the time `upTo` of the store's clock was
    ///   applied: leases may be judged up to then. A longer gap than ``PartitionRenewal/gapMilliseconds`` since
    ///   the last time counts as blind.
    func renewPartitions(
        count: Int32, owner: String, caughtUp: [Int32], upTo: Int64
    ) async throws -> PartitionRenewal

    /// Gives the partitions of `owner` to whoever asks next.
    func disownPartitions(owner: String) async throws

    /// Applies events and moves the offsets of their partitions, all or nothing.
    ///
    /// Queues that want to be looked at, and that nobody holds or whose holder hands them in, are looked at in the
    /// same transaction, large ones when an attempt has ended; see ``EventLook``. Without `look` events are only
    /// applied.
    /// - Throws: ``PartitionLost`` when another reader has moved an offset or owns a partition.
    func apply(
        _ batches: [EventBatch], owner: String, look: EventLook?,
        _ work: @Sendable (inout QueueState, QueueEvent, EventFacts) -> Bool
    ) async throws -> ApplyReport

    /// Hands due commands to `send`, oldest first a queue, and notes them as sent if it returns, on their
    /// attempts too. What a final queue had to say is then said.
    ///
    /// One dispatcher at a time a queue.
    /// - Returns: how many were sent.
    func dispatch(limit: Int, _ send: ([ControlCommand]) async throws -> Void) async throws -> Int
}

/// Which queues to look at.
package enum LookSelection: Sendable {
    /// Those that are due and that nobody holds, the longest due first; `token` names the claims and is new each
    /// time.
    case due(limit: Int, token: String)
    /// Those claimed before.
    case claimed([QueueClaim])
}

/// A queue that one reconciler holds for a short time.
package struct QueueClaim: Sendable, Hashable {
    package var queueID: QueueID
    package var token: String

    package init(queueID: QueueID, token: String) {
        self.queueID = queueID
        self.token = token
    }
}

package struct LookRequest: Sendable {
    /// A replica that dies holds a queue up for no longer than this.
    package static let claimMilliseconds: Int64 = 3_000

    package var selection: LookSelection
    /// The partition of queue-events that a queue's events go to.
    package var eventPartition: @Sendable (QueueID) -> Int32

    package init(
        _ selection: LookSelection, eventPartition: @escaping @Sendable (QueueID) -> Int32
    ) {
        self.selection = selection
        self.eventPartition = eventPartition
    }
}

/// A queue after a look.
package struct LookResult: Sendable {
    package var claim: QueueClaim
    /// As written; its changes tell what happened.
    package var queue: QueueState
    package var plan: LookPlan

    package init(claim: QueueClaim, queue: QueueState, plan: LookPlan) {
        self.claim = claim
        self.queue = queue
        self.plan = plan
    }
}

/// An event of queue-events with the place it was read from.
package struct ReadEvent: Sendable {
    package var offset: Int64
    /// nil when the record is no event; it is counted and skipped.
    package var event: QueueEvent?

    package init(offset: Int64, event: QueueEvent?) {
        self.offset = offset
        self.event = event
    }
}

/// Consecutive events of one partition.
package struct EventBatch: Sendable {
    /// The place we believe is stored; another one means another reader took over.
    package var from: OwnedPartition
    package var events: [ReadEvent]
    /// After the last event.
    package var nextOffset: Int64

    package init(from: OwnedPartition, events: [ReadEvent], nextOffset: Int64) {
        self.from = from
        self.events = events
        self.nextOffset = nextOffset
    }
}

/// What the store knows when it applies an event.
package struct EventFacts: Sendable {
    /// Milliseconds of the store's clock.
    package var now: Int64
    /// See ``LookFacts/blindMilliseconds``.
    package var blindMilliseconds: Int64

    package init(now: Int64, blindMilliseconds: Int64) {
        self.now = now
        self.blindMilliseconds = blindMilliseconds
    }
}

/// A partition of queue-events that this replica reads.
package struct OwnedPartition: Sendable, Hashable {
    package var partition: Int32
    package var nextOffset: Int64

    package init(partition: Int32, nextOffset: Int64) {
        self.partition = partition
        self.nextOffset = nextOffset
    }
}

/// The event partitions of a reader, and the store's clock when they were renewed.
package struct PartitionRenewal: Sendable {
    /// A reader says about once a second how far it is; only a longer silence stops the leases.
    package static let gapMilliseconds: Int64 = 5_000

    package var partitions: [OwnedPartition]
    /// Milliseconds.
    package var clock: Int64

    package init(partitions: [OwnedPartition], clock: Int64) {
        self.partitions = partitions
        self.clock = clock
    }
}

/// Another replica reads this partition now.
package struct PartitionLost: Error, Sendable, Equatable {
    package var partition: Int32

    package init(partition: Int32) {
        self.partition = partition
    }
}
