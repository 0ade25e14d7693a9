import KafkaBridge
import ServiceLifecycle
import ServiceRuntime
import Workflow

/// Reads queue-events by assignment and applies each batch together with its offset (design decision 3).
///
/// Partitions are shared out by rows in PostgreSQL, not by a consumer group; a replica that dies loses them
/// after ``EngineStore/partitionLeaseSeconds``.
package struct EventReader: Service {
    let store: EngineStore
    let makeConsumer: @Sendable () throws -> KafkaConsumer
    let topic: String
    let partitionCount: Int32
    let policy: EventPolicy
    let replica: String
    let crashPoints: CrashPoints
    /// Something changed: look at the queues, show followers what is new.
    let changed: @Sendable () -> Void
    let observe: EngineObserver

    static let batchMax = 500
    /// Ownership is renewed at least three times in a lease.
    static let renewEvery = Duration.seconds(1)

    package func run() async throws {
        await loop("events", observe: observe) {
            let consumer = try makeConsumer()
            do {
                try await read(with: consumer)
            } catch {
                await consumer.close()
                throw error
            }
            await consumer.close()
        }
        // Another replica may take over at once; if this fails the leases run out by themselves.
        try? await store.disownPartitions(owner: replica)
    }

    /// Reads until cancelled or until something fails; the caller begins anew with a new consumer.
    private func read(with consumer: KafkaConsumer) async throws {
        var owned: [Int32: OwnedPartition] = [:]
        var renewed: ContinuousClock.Instant?
        var ends: [Int32: Int64] = [:]
        var isNoted = false
        while !Task.isCancelled {
            if renewed.map({ $0.duration(to: .now) >= Self.renewEvery }) ?? true {
                owned = try await renew(owned, consumer)
                renewed = .now
                isNoted = false
            }
            let records = try await consumer.poll(recordsMax: Self.batchMax, timeout: .milliseconds(250))
            for event in records.events {
                switch event {
                case .endReached(let place, let offset): ends[place.partition] = offset
                case .partitionFailed(_, let error): throw error
                case .failed(let error): if error.isFatal { throw error }
                case .rebalanced: break
                }
            }
            for (partition, batch) in Dictionary(grouping: records, by: \.partition) {
                guard let place = owned[partition] else { continue }
                owned[partition] = try await apply(batch, at: place)
                ends[partition] = nil
            }
            // Leases are judged only up to the moment the reader stood at the end of what the broker has.
            let atEnd = owned.values.filter { ends[$0.partition] != nil }.map(\.partition)
            if records.isEmpty, !isNoted, !atEnd.isEmpty {
                try await store.noteCaughtUp(atEnd, owner: replica)
                isNoted = true
            }
        }
    }

    /// Renews our partitions, takes free ones, and assigns the consumer anew when the set changed.
    private func renew(
        _ known: [Int32: OwnedPartition], _ consumer: KafkaConsumer
    ) async throws -> [Int32: OwnedPartition] {
        let rows = try await store.ownPartitions(count: partitionCount, owner: replica)
        let owned = Dictionary(uniqueKeysWithValues: rows.map { ($0.partition, $0) })
        guard Set(owned.keys) != Set(known.keys) else { return owned }
        for partition in known.keys where owned[partition] == nil { observe(.partitionLost(partition)) }
        observe(.partitionsOwned(owned.keys.sorted()))
        let positions = owned.values.map {
            (TopicPartition(topic, $0.partition), KafkaPosition.offset($0.nextOffset))
        }
        try await consumer.assign(Dictionary(uniqueKeysWithValues: positions))
        return owned
    }

    private func apply(_ records: [ConsumedRecord], at place: OwnedPartition) async throws -> OwnedPartition {
        let events = records.map(read)
        guard let last = records.last else { return place }
        crashPoints.reach(.beforeEventApply)
        let report = try await store.apply(
            events, from: place, nextOffset: last.offset + 1, owner: replica, policy: policy)
        crashPoints.reach(.afterEventApply)
        observe(.eventsApplied(count: report.applied, skipped: report.skipped))
        if report.applied > 0 { changed() }
        return OwnedPartition(partition: place.partition, nextOffset: last.offset + 1)
    }

    /// A record that is no event is counted and skipped: it must not hold up its partition.
    private func read(_ record: ConsumedRecord) -> ReadEvent {
        var event: QueueEvent?
        do {
            event = try MessageCodec.decode(QueueEvent.self, from: record.value ?? [])
        } catch {
            observe(
                .eventUnreadable(partition: record.partition, offset: record.offset, error: error.description)
            )
        }
        return ReadEvent(partition: record.partition, offset: record.offset, event: event)
    }
}
