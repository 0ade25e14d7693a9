import KafkaBridge
import ServiceRuntime
import Testing
import Workflow

@testable import ArangoConnector

/// Records of shared topics: sorted into streams, and stored by whoever has them.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct SharedStreamTests {
    // MARK: Sorting

    @Test func `records are sorted into their streams, each is claimed once and stored in its order`()
        async throws
    {
        try await withRig { rig in
            let (one, two) = (try tag(rig, "wf-a-aaaaa1"), try tag(rig, "wf-a-aaaaa2"))
            var batch = RecordBatch()
            append(1, of: one, to: &batch)
            append(1, of: two, to: &batch)
            append(2, of: one, to: &batch)
            append(2, of: one, to: &batch)
            Candles.append(9, to: &batch)
            try await rig.fill([batch])
            let records = try await read(rig, count: 5)
            var desk = StreamDesk(limits: SharedLimits())
            let added = records.map { desk.add($0, now: .now, stopped: StoppedAttempts()) }
            #expect(added[..<4] == [.gathered, .gathered, .gathered, .gathered])
            #expect(added[4] == .unreadable(reason: "it has no sf-queue"))
            #expect(desk.ledger.committable(rig.partition) == 0)

            let claims = desk.takeJobs(9, now: .now, isForced: false)
            #expect(Set(claims.map(\.tag)) == [one, two])
            #expect(desk.takeJobs(9, now: .now, isForced: true).count == 0)
            for job in claims {
                #expect(desk.settle(.claimed(StreamProgress(attempt: 1)), of: job, now: .now) == true)
            }
            let stores = desk.takeJobs(9, now: .now, isForced: true)
            let first = try #require(stores.first { $0.tag == one })
            let second = try #require(stores.first { $0.tag == two })
            #expect(try sequences(of: first) == [1, 2])
            #expect(try sequences(of: second) == [1])
            #expect(desk.settle(.stored(StreamProgress(lastSequence: 1)), of: second, now: .now) == true)
            #expect(desk.ledger.committable(rig.partition) == 0)
            #expect(desk.settle(.stored(StreamProgress(lastSequence: 2)), of: first, now: .now) == true)
            #expect(desk.ledger.committable(rig.partition) == 5 && desk.ledger.bytes == 0)
            #expect(desk.takeReports(now: .now).count == 2)
            #expect(desk.takeReports(now: .now).count == 0)
        }
    }

    @Test func `what was stored before is skipped, and what is stopped or over is not gathered`() async throws
    {
        try await withRig { rig in
            let (one, two) = (try tag(rig, "wf-a-aaaaa1"), try tag(rig, "wf-a-aaaaa2"))
            var batch = RecordBatch()
            for number: Int64 in 1...3 { append(number, of: one, to: &batch) }
            for number: Int64 in 1...2 { append(number, of: two, to: &batch) }
            try await rig.fill([batch])
            let records = try await read(rig, count: 5)
            var stopped = StoppedAttempts()
            stopped.note(
                ControlCommand(
                    command: .stop, queueID: two.queueID, commandID: "c", commandSeq: 1, timestamp: 0))
            var desk = StreamDesk(limits: SharedLimits())
            let added = records.map { desk.add($0, now: .now, stopped: stopped) }
            #expect(added == [.gathered, .gathered, .gathered, .skipped, .skipped])
            let claim = try #require(desk.takeJobs(9, now: .now, isForced: false).first)
            // Somebody else has stored all of it.
            #expect(desk.settle(.claimed(StreamProgress(lastSequence: 3)), of: claim, now: .now) == true)
            #expect(desk.takeJobs(9, now: .now, isForced: true).count == 0)
            #expect(desk.ledger.committable(rig.partition) == 5)

            desk.evict(now: .now + .seconds(3_600))
            #expect(desk.streamCount == 0)
            #expect(desk.add(records[0], now: .now, stopped: stopped) == .gathered)
            let again = try #require(desk.takeJobs(9, now: .now, isForced: false).first)
            #expect(desk.settle(.closed, of: again, now: .now) == true)
            #expect(desk.add(records[1], now: .now, stopped: stopped) == .skipped)
        }
    }

    @Test
    func `a partition that went takes its jobs with it, and an unknown outcome has everything read anew`()
        async throws
    {
        try await withRig { rig in
            let one = try tag(rig, "wf-a-aaaaa1")
            var batch = RecordBatch()
            append(1, of: one, to: &batch)
            try await rig.fill([batch])
            let record = try #require(try await read(rig, count: 1).first)
            var desk = StreamDesk(limits: SharedLimits())
            #expect(desk.add(record, now: .now, stopped: StoppedAttempts()) == .gathered)
            let job = try #require(desk.takeJobs(1, now: .now, isForced: false).first)
            desk.forget([rig.partition])
            #expect(job.ticket.isAbandoned)
            #expect(desk.settle(.abandoned, of: job, now: .now) == true)
            #expect(desk.streamCount == 0 && desk.ledger.bytes == 0)

            #expect(desk.add(record, now: .now, stopped: StoppedAttempts()) == .gathered)
            let next = try #require(desk.takeJobs(1, now: .now, isForced: false).first)
            #expect(desk.settle(.abandoned, of: next, now: .now) == false)
        }
    }

    // MARK: Storing

    @Test func `a zombie's batch is met by a conflict: nothing is lost and nothing counts twice`()
        async throws
    {
        try await withRig { rig in
            let tag = try tag(rig, "wf-a-aaaaa1")
            let runner = try runner(rig)
            let start = try await claim(tag, rig, runner)
            // The new owner has stored the first three; the old one still has five in hand, from the beginning.
            let owner = try await store(1...3, from: start, tag, rig, runner)
            #expect(owner.recordsWritten == 3)
            let zombie = try await store(1...5, from: start, tag, rig, runner)
            #expect(zombie.recordsWritten == 5 && zombie.duplicates == 0 && zombie.lastSequence == 5)
            // And now the owner is the one that is behind.
            let late = try await store(4...5, from: owner, tag, rig, runner)
            #expect(late == zombie)
            #expect(try await rig.keys() == rig.expectedKeys(5))
        }
    }

    @Test func `the end is confirmed against the store, by the limit that the marker brings`() async throws {
        try await withRig { rig in
            try await rig.admin.createTopics([TopicSpecification("queue-events", partitions: 1)])
            let tag = try tag(rig, "wf-a-aaaaa1")
            let runner = try runner(rig)
            let start = try await claim(tag, rig, runner)
            let progress = try await store(1...3, from: start, tag, rig, runner)
            for (count, word) in [(Int64(3), QueueEvent.Status.finished), (4, .error)] {
                var batch = StreamBatch(after: progress)
                batch.ending = .marker(
                    EndMarker(
                        count: count, firstKey: Candles.key(1), lastKey: Candles.key(count), deadLettersMax: 0
                    ))
                batch.endingOffset = 40
                guard case .closed = await runner.run(job(.store(batch, progress), tag, rig)) else {
                    Issue.record("it is not over")
                    return
                }
                let event = try #require(try await lastEvent(rig))
                #expect(event.status == word && event.seq == 41 && event.workerID == "sf-arango-connector")
                #expect(event.recordsRead == 3 && event.attempt == 2 && event.instance == "BTCUSDT")
            }
        }
    }

    // MARK: Helpers

    private func tag(_ rig: Rig, _ queue: String) throws -> StreamTag {
        StreamTag(
            queueID: try #require(QueueID(queue)),
            id: InstanceID(step: try #require(StepID("store")), instance: "BTCUSDT"), attempt: 2,
            collection: rig.collection, symbol: rig.symbol, interval: .minute5, type: "api_candles_5m")
    }

    private func append(_ number: Int64, of tag: StreamTag, to batch: inout RecordBatch) {
        batch.append(
            key: Array(tag.symbol.rawValue.utf8), value: Array(Candles.json(number).utf8),
            headers: [(RecordHeader.sequence, Array(String(number).utf8))] + tag.headers)
    }

    private func read(_ rig: Rig, count: Int) async throws -> [ConsumedRecord] {
        let consumer = try KafkaConsumer(rig.kafka)
        try await consumer.assign([rig.partition: .beginning])
        var records: [ConsumedRecord] = []
        let deadline = ContinuousClock.now + .seconds(20)
        while records.count < count, ContinuousClock.now < deadline { records += try await consumer.poll() }
        await consumer.close(timeout: .zero)
        try #require(records.count == count)
        return records
    }

    private func sequences(of job: StreamJob) throws -> [Int64] {
        guard case .store(let batch, _) = job.work else { return [] }
        return batch.origins.map(\.sequence)
    }

    private func runner(_ rig: Rig) throws -> StreamJobRunner {
        var limits = SharedLimits()
        limits.stream = rig.limits
        let kafka = rig.kafka
        return StreamJobRunner(
            parts: SharedParts(
                store: rig.store,
                producer: try RenewingProducer { () throws(KafkaError) in try KafkaProducer(kafka) },
                eventsTopic: "queue-events", member: "test", limits: limits, crashPoints: .off,
                observe: { _ in }))
    }

    private func job(_ work: StreamJob.Work, _ tag: StreamTag, _ rig: Rig) -> StreamJob {
        StreamJob(
            key: .init(partition: rig.partition, identity: Array(tag.name.rawValue.utf8)), tag: tag,
            work: work,
            endOffset: 1, ticket: JobTicket())
    }

    private func claim(_ tag: StreamTag, _ rig: Rig, _ runner: StreamJobRunner) async throws -> StreamProgress
    {
        guard case .claimed(let progress) = await runner.run(job(.claim, tag, rig)) else {
            throw StoreError(.corrupt, operation: "claim", detail: "it was not claimed")
        }
        return progress
    }

    /// Stores the candles of these numbers, as read at the offsets of their numbers.
    private func store(
        _ numbers: ClosedRange<Int64>, from progress: StreamProgress, _ tag: StreamTag, _ rig: Rig,
        _ runner: StreamJobRunner
    ) async throws -> StreamProgress {
        var batch = StreamBatch(after: progress)
        for number in numbers {
            batch.documents.append(
                key: Array(Candles.key(number).utf8), json: Array(Candles.json(number).utf8))
            batch.origins.append(.init(offset: number, sequence: number, attempt: 1))
        }
        batch.lastSequence = numbers.upperBound
        batch.nextOffset = numbers.upperBound + 1
        guard case .stored(let next) = await runner.run(job(.store(batch, progress), tag, rig)) else {
            throw StoreError(.corrupt, operation: "store", detail: "it was not stored")
        }
        return next
    }

    private func lastEvent(_ rig: Rig) async throws -> QueueEvent? {
        let partition = TopicPartition("queue-events", 0)
        let end = try await rig.admin.watermarks(of: partition).high
        let consumer = try KafkaConsumer(rig.kafka)
        try await consumer.assign([partition: .offset(end - 1)])
        let record = try await consumer.poll(timeout: .seconds(10)).first
        let event = try record?.value.map { try MessageCodec.decode(QueueEvent.self, from: $0) }
        await consumer.close(timeout: .zero)
        return event
    }
}
