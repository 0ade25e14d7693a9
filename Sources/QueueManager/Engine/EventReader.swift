import ServiceLifecycle
import ServiceRuntime
import Workflow

/// Reads queue-events by assignment and applies what it reads together with its offsets (design decision 3).
///
/// Partitions are shared out by rows in PostgreSQL, not by a consumer group; a replica that dies loses them
/// after ``EngineStore/partitionLeaseSeconds``.
package struct EventReader: Service {
    let store: any EngineStorage
    let makeSource: @Sendable () throws -> EventSource
    let partitionCount: Int32
    let policy: EnginePolicy
    let replica: String
    let crashPoints: CrashPoints
    /// From 0 to 1, see ``OperationContext/jitter``.
    var jitter: @Sendable () -> Double
    /// Something changed: look at the queues, show followers what is new.
    let changed: @Sendable (_ needsLook: Bool) -> Void
    let looker: LookAhead
    let observe: EngineObserver

    static let batchMax = 500
    /// Ownership is renewed at least three times in a lease.
    static let renewEvery = Duration.seconds(1)

    package init(
        store: any EngineStorage, makeSource: @escaping @Sendable () throws -> EventSource,
        partitionCount: Int32, policy: EnginePolicy, replica: String, crashPoints: CrashPoints,
        jitter: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        changed: @escaping @Sendable (_ needsLook: Bool) -> Void, looker: LookAhead,
        observe: EngineObserver
    ) {
        self.store = store
        self.makeSource = makeSource
        self.partitionCount = partitionCount
        self.policy = policy
        self.replica = replica
        self.crashPoints = crashPoints
        self.jitter = jitter
        self.changed = changed
        self.looker = looker
        self.observe = observe
    }

    package func run() async throws {
        await loop("events", observe: observe) {
            let source = try makeSource()
            do {
                try await read(from: source)
            } catch {
                looker.setPartitions([])
                await source.close()
                throw error
            }
            looker.setPartitions([])
            await source.close()
        }
        // Another replica may take over at once; if this fails the leases run out by themselves.
        try? await store.disownPartitions(owner: replica)
    }

    /// Reads until cancelled or until something fails; the caller begins anew with a new source.
    private func read(from source: EventSource) async throws {
        var session = EventSession(reader: self, source: source)
        var renewed: ContinuousClock.Instant?
        while !Task.isCancelled {
            if renewed.map({ $0.duration(to: .now) >= Self.renewEvery }) ?? true {
                try await session.renew()
                renewed = .now
            }
            try await session.turn(timeout: .milliseconds(250))
        }
    }
}

/// One run of the reader over one source.
package struct EventSession: Sendable {
    private let reader: EventReader
    private let source: EventSource
    private var owned: [Int32: OwnedPartition] = [:]
    /// The store's clock at the last renewal.
    private var renewedAt: Int64 = 0
    /// The ends of our partitions, asked after the last renewal: whoever has applied up to there has applied all
    /// that was sent before it.
    private var ends: [Int32: Int64] = [:]

    package init(reader: EventReader, source: EventSource) {
        self.reader = reader
        self.source = source
    }

    /// Renews our partitions, takes free ones, and tells how far leases may be judged; to be called about once a
    /// second.
    package mutating func renew() async throws {
        let caughtUp = ends.filter { end in owned[end.key].map { $0.nextOffset >= end.value } ?? false }
        let renewal = try await reader.store.renewPartitions(
            count: reader.partitionCount, owner: reader.replica, caughtUp: caughtUp.keys.sorted(),
            upTo: renewedAt)
        renewedAt = renewal.clock
        ends = [:]
        let now = Dictionary(uniqueKeysWithValues: renewal.partitions.map { ($0.partition, $0) })
        if Set(now.keys) != Set(owned.keys) {
            for partition in owned.keys where now[partition] == nil {
                reader.observe(.partitionLost(partition))
            }
            reader.observe(.partitionsOwned(now.keys.sorted()))
            try await source.assign(now.mapValues(\.nextOffset))
            owned = now
        }
        reader.looker.setPartitions(Set(owned.keys))
        // Without an answer no lease is judged; reading goes on.
        ends = (try? await source.ends(owned.keys.sorted())) ?? [:]
    }

    /// Reads once and applies what was read.
    package mutating func turn(timeout: Duration) async throws {
        let records = try await source.poll(EventReader.batchMax, timeout)
        let readAt = ContinuousClock.now
        let batches = Dictionary(grouping: records, by: \.partition).compactMap {
            partition, records -> EventBatch? in
            guard let from = owned[partition], let last = records.last else { return nil }
            return EventBatch(from: from, events: records.map(read), nextOffset: last.offset + 1)
        }
        guard !batches.isEmpty else { return }
        try await apply(batches.sorted { $0.from.partition < $1.from.partition }, readAt: readAt)
    }

    private mutating func apply(_ batches: [EventBatch], readAt: ContinuousClock.Instant) async throws {
        let (policy, jitter) = (reader.policy, reader.jitter)
        reader.crashPoints.reach(.beforeEventApply)
        let ended = noteEnds(in: batches, readAt: readAt)
        let turn = await reader.looker.begin(
            Set(batches.flatMap { $0.events.compactMap(\.event?.queueID) }), ending: ended)
        let report: ApplyReport
        do {
            report = try await reader.store.apply(batches, owner: reader.replica, look: turn.look) {
                queue, event, facts in
                let context = OperationContext(
                    now: facts.now, policy: policy, blindMilliseconds: facts.blindMilliseconds,
                    jitter: jitter())
                return queue.apply(event, context)
            }
        } catch {
            turn.abandon(ended: ended)
            for queue in ended { reader.observe(.endsApplied(queue, isDone: false)) }
            throw error
        }
        reader.crashPoints.reach(.afterEventApply)
        for batch in batches { owned[batch.from.partition]?.nextOffset = batch.nextOffset }
        for queue in ended { reader.observe(.endsApplied(queue, isDone: true)) }
        reader.observe(.eventsApplied(count: report.applied, skipped: report.skipped))
        await turn.finish(report, ended: ended)
        if report.applied > 0 { reader.changed(report.needsLook) }
    }

    /// - Returns: queues of which an attempt has said its last word.
    private func noteEnds(in batches: [EventBatch], readAt: ContinuousClock.Instant) -> Set<QueueID> {
        let ends = batches.flatMap(\.events).compactMap {
            $0.event.flatMap { $0.finished ? $0.queueID : nil }
        }
        let byQueue = Dictionary(grouping: ends, by: \.self)
        for (queue, ends) in byQueue {
            reader.observe(.endsRead(queue, count: ends.count, at: readAt))
        }
        return Set(byQueue.keys)
    }

    /// A record that is no event is counted and skipped: it must not hold up its partition.
    private func read(_ record: EventSource.Record) -> ReadEvent {
        var event: QueueEvent?
        do {
            event = try MessageCodec.decode(QueueEvent.self, from: record.value ?? [])
        } catch {
            reader.observe(
                .eventUnreadable(partition: record.partition, offset: record.offset, error: error.description)
            )
        }
        return ReadEvent(offset: record.offset, event: event)
    }
}
