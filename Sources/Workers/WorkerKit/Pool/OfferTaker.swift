import KafkaBridge
import ServiceRuntime
import Workflow

/// Takes the offers of one target: reads its topic in the group of the pool, commits on take, hands on.
///
/// Nothing here waits for an instance. When no slot is free it reads a little ahead, then pauses the
/// partitions; polls go on all the same, so that the group keeps its member.
struct OfferTaker: Sendable {
    let topic: String
    /// In the group of this topic.
    let makeConsumer: @Sendable (_ topic: String) throws(KafkaError) -> KafkaConsumer
    let slots: PoolSlots
    /// Ends the taking; what is read and not taken is left to others.
    let stop: StopSignal
    let health: HealthState
    let observe: PoolObserver
    /// Asks how far the commands to these offers go, while the taking is committed.
    let ends: @Sendable ([TakenOffer]) async -> [Int32: Int64]?
    /// Runs what was taken; returns at once. It gives the slots back.
    let start: @Sendable (TakenBatch) -> Void

    /// A stop or a free slot is seen at the latest after this.
    private static let pollMax = Duration.milliseconds(100)
    private static let reopenPause = Duration.seconds(1)
    private static let commitMax = Duration.seconds(30)
    private static let retryPause = Duration.milliseconds(100)

    /// Why a reading of the topic ended.
    private enum End {
        case stopped, fenced
        case failed(KafkaError)
    }

    /// Returns when taking was stopped, or when another worker took this one's name.
    ///
    /// - Returns: false in the latter case: it must not go on.
    func run() async -> Bool {
        defer { health.endBeat("offers \(topic)") }
        while !stop.isRequested, !Task.isCancelled {
            switch await readOnce() {
            case .stopped: return true
            case .fenced:
                observe(.fenced(topic: topic))
                return false
            case .failed(let error):
                health.setReady("offers \(topic)", problem: "offers cannot be taken")
                observe(.takeFailed(topic: topic, error))
                _ = try? await stop.unlessRequested { try await Task.sleep(for: Self.reopenPause) }
            }
        }
        return true
    }

    private func readOnce() async -> End {
        let end: End
        let consumer: KafkaConsumer
        do throws(KafkaError) {
            consumer = try makeConsumer(topic)
        } catch {
            return .failed(error)
        }
        do throws(KafkaError) {
            try await consumer.subscribe(to: [topic])
            try await read(consumer)
            end = .stopped
        } catch {
            end = error.isFenced ? .fenced : .failed(error)
        }
        await consumer.close()
        return end
    }

    private func read(_ consumer: KafkaConsumer) async throws(KafkaError) {
        var buffer = OfferBuffer(limit: max(64, slots.limit * 4))
        var held: Set<TopicPartition> = []
        var taken = TakenPositions()
        var isPaused = false
        while !stop.isRequested {
            health.beat("offers \(topic)", limit: .seconds(120))
            let free = slots.take(upTo: buffer.count)
            if free > 0 {
                try await take(buffer.take(free), consumer, &taken)
                continue
            }
            try await commitAgain(&taken, consumer)
            if !buffer.isEmpty { await slots.waitForFree() }
            if buffer.room == 0, slots.used == slots.limit, !isPaused {
                try await consumer.pause(Array(held))
                isPaused = true
                observe(.paused(topic: topic))
            } else if isPaused, buffer.isLow {
                try await consumer.resume(Array(held))
                isPaused = false
                observe(.resumed(topic: topic))
            }
            guard buffer.room > 0 || isPaused else { continue }
            let records = try await consumer.poll(
                recordsMax: max(1, buffer.room), timeout: buffer.isEmpty ? Self.pollMax : .zero)
            for record in records {
                guard let value = record.value else { continue }
                buffer.add(.init(partition: record.topicPartition, offset: record.offset, value: value))
            }
            if try await apply(records.events, &buffer, &held, &taken, consumer) { isPaused = false }
        }
    }

    /// A partition is read from its beginning where nobody took from it yet, or where retention deleted what
    /// was to be taken next.
    ///
    /// That is not the consumer's own rule for a position it cannot use: where a broker has lost its last
    /// offers, reading goes on at the end, since those at the beginning were run long ago.
    ///
    /// The beginning is committed at once: brokers forget the positions of a group that had no member for a week,
    /// and a partition without one looks to KEDA as if all it ever had were waiting.
    private func begin(
        _ partitions: [TopicPartition], _ consumer: KafkaConsumer
    ) async throws(KafkaError) {
        let committed = try await consumer.committed(partitions)
        let beginnings = try await consumer.beginnings(of: partitions).filter { partition, beginning in
            committed[partition].flatMap { $0 }.map { $0 < beginning } ?? true
        }
        await consumer.start(at: beginnings.mapValues { _ in .beginning })
        guard !beginnings.isEmpty else { return }
        do throws(KafkaError) {
            try await commit(beginnings, consumer)
        } catch {
            // Others have the partitions now.
            guard error.code == .rebalanced else { throw error }
        }
    }

    /// - Returns: whether the partitions changed, so that none is paused any more.
    private func apply(
        _ events: [ConsumerEvent], _ buffer: inout OfferBuffer, _ held: inout Set<TopicPartition>,
        _ taken: inout TakenPositions, _ consumer: KafkaConsumer
    ) async throws(KafkaError) -> Bool {
        var hasChanged = false
        for event in events {
            switch event {
            case .rebalanced(.assigned(let partitions)):
                try await begin(partitions, consumer)
                held.formUnion(partitions)
                hasChanged = true
                health.setReady("offers \(topic)")
                observe(.joined(topic: topic, partitions: held.count))
            case .rebalanced(.revoked(let partitions)), .rebalanced(.lost(let partitions)):
                held.subtract(partitions)
                buffer.drop(partitions)
                taken.drop(partitions)
                hasChanged = true
            case .failed(let error):
                if error.isFatal { throw error }
                observe(.takeFailed(topic: topic, error))
            case .partitionFailed(_, let error): observe(.takeFailed(topic: topic, error))
            case .endReached: break
            }
        }
        return hasChanged
    }

    /// Commits, then starts: an offer that is run is taken for good.
    private func take(
        _ read: [OfferBuffer.Read], _ consumer: KafkaConsumer, _ taken: inout TakenPositions
    ) async throws(KafkaError) {
        let offers = readable(read)
        slots.give(read.count - offers.count)
        async let ends = ends(offers)
        do throws(KafkaError) {
            let positions = OfferBuffer.positions(after: read)
            try await commit(positions, consumer)
            taken.committed(positions, at: .now)
        } catch {
            slots.give(offers.count)
            observe(.dropped(offers.count, .rebalanced))
            // Others have the partitions now, and with them the offers; the next poll tells.
            if error.code == .rebalanced { return }
            throw error
        }
        observe(.taken(offers.count, slotsUsed: slots.used))
        if !offers.isEmpty { start(TakenBatch(offers: offers, ends: await ends)) }
    }

    /// One that fails is made again when it is due again.
    private func commitAgain(
        _ taken: inout TakenPositions, _ consumer: KafkaConsumer
    ) async throws(KafkaError) {
        let positions = taken.due(at: .now)
        guard !positions.isEmpty else { return }
        do throws(KafkaError) {
            try await consumer.commit(positions)
        } catch {
            observe(.takeFailed(topic: topic, error))
            if error.isFenced || error.isFatal { throw error }
        }
    }

    private func readable(_ read: [OfferBuffer.Read]) -> [TakenOffer] {
        var offers: [TakenOffer] = []
        for one in read {
            do {
                offers.append(try TakenOffer(one))
            } catch {
                observe(.unreadable(one.partition, offset: one.offset, detail: error.detail))
            }
        }
        return offers
    }

    /// Asks until the answer is clear: a commit that may have failed is made again, which only the member of
    /// the present generation can.
    private func commit(
        _ positions: [TopicPartition: Int64], _ consumer: KafkaConsumer
    ) async throws(KafkaError) {
        let deadline = ContinuousClock.now + Self.commitMax
        while true {
            do throws(KafkaError) {
                return try await consumer.commit(positions)
            } catch {
                guard error.isRetriable, ContinuousClock.now < deadline, !stop.isRequested else {
                    throw error
                }
                observe(.takeFailed(topic: topic, error))
                try? await Task.sleep(for: Self.retryPause)
            }
        }
    }
}
