import ArangoConnector
import KafkaBridge
import Synchronization
import TestSupport
import Testing
import Workflow

@Suite(.serialized, .timeLimit(.minutes(2)))
struct StreamConnectorTests {
    @Test func `stores a whole stream and reports its counts`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 5_000)
            let outcome = try await rig.run()
            let end = try #require(outcome.finished, "\(outcome)")
            #expect(
                end.counts
                    == InstanceCounts(
                        recordsRead: 5_000, recordsWritten: 5_000, lastKey: Candles.key(5_000), lastSeq: 5_000
                    ))
            #expect(end.extra["documents_in_range"] == .integer(5_000))
            #expect(end.extra["warning"] == nil)
            #expect(try await rig.keys() == rig.expectedKeys(5_000))
        }
    }

    @Test func `finishes an empty stream`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 0)
            let end = try #require(try await rig.run().finished)
            #expect(end.counts.recordsRead == 0)
            #expect(end.extra["documents_in_range"] == .integer(0))
        }
    }

    @Test func `reports a stream that was finished before again`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 1_000)
            let first = try #require(try await rig.run(attempt: 1).finished)
            let second = try #require(try await rig.run(attempt: 2).finished)
            #expect(second.counts == first.counts)
            #expect(second.extra == first.extra)
        }
    }

    @Test func `tells the counts after each batch`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 2_000)
            let reports = Mutex<[Int64]>([])
            _ = try await rig.run(
                hooks: ConnectorHooks(report: { counts, _ in
                    reports.withLock { $0.append(counts.recordsWritten) }
                }))
            let written = reports.withLock { $0 }
            #expect(written.count >= 5)
            #expect(written == written.sorted())
            #expect(written.last == 2_000)
        }
    }

    @Test func `leaves no lag although markers and aborted records end the partition`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 700, size: 100)
            try await rig.abort(Candles.batch(701...750))
            try #require(try await rig.run().finished != nil)
            #expect(try await rig.admin.lag(of: rig.group, topic: rig.topic) == [rig.partition: 0])
        }
    }

    @Test func `leaves no lag while it waits for more behind a transaction marker`() async throws {
        try await withRig { rig in
            try await rig.fill([Candles.batch(1...100)])
            let isCaughtUp = Atomic(false)
            async let outcome = rig.run(
                hooks: ConnectorHooks(shouldStop: { isCaughtUp.load(ordering: .relaxed) }))
            let deadline = ContinuousClock.now + .seconds(20)
            while try await rig.admin.lag(of: rig.group, topic: rig.topic) != [rig.partition: 0] {
                try #require(ContinuousClock.now < deadline, "there is a lag")
                try await Task.sleep(for: .milliseconds(20))
            }
            isCaughtUp.store(true, ordering: .relaxed)
            let ended = try await outcome
            guard case .interrupted(let counts) = ended else {
                Issue.record("\(ended)")
                return
            }
            #expect(counts.recordsWritten == 100)
        }
    }

    @Test func `stops in the middle with its batch stored, and the next attempt goes on`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 4_000)
            let written = Atomic<Int64>(0)
            let hooks = ConnectorHooks(
                shouldStop: { written.load(ordering: .relaxed) >= 800 },
                report: { counts, _ in written.store(counts.recordsWritten, ordering: .relaxed) })
            let outcome = try await rig.run(hooks: hooks)
            guard case .interrupted(let counts) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect((800..<4_000).contains(counts.recordsWritten))
            #expect(try await rig.keys() == rig.expectedKeys(counts.recordsWritten))
            let end = try #require(try await rig.run(attempt: 2).finished)
            #expect(end.counts.recordsWritten == 4_000)
            #expect(end.counts.duplicates == 0)
            #expect(try await rig.keys() == rig.expectedKeys(4_000))
        }
    }

    @Test func `skips records whose number it has seen`() async throws {
        try await withRig { rig in
            var last = Candles.batch(401...600)
            try Candles.appendMarker(Candles.marker(count: 600), to: &last)
            try await rig.fill([Candles.batch(1...500), last])
            let end = try #require(try await rig.run().finished)
            #expect(end.counts.recordsWritten == 600)
            #expect(end.counts.duplicates == 0)
            #expect(end.extra["repeated_deliveries"] == .integer(100))
        }
    }

    @Test func `ends at a missing number and writes nothing past it`() async throws {
        try await withRig { rig in
            try await rig.fill([Candles.batch(1...450), Candles.batch(452...900)])
            let failure = try #require(try await rig.run().failure)
            #expect(failure.reason == .dataLost)
            #expect(failure.detail.contains("has lost records"))
            #expect(failure.detail.contains("450"))
            #expect(failure.detail.contains("452"))
            #expect(try await rig.keys() == rig.expectedKeys(450))
        }
    }

    @Test func `refuses an end marker that counts otherwise`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 300, marker: Candles.marker(count: 299))
            let failure = try #require(try await rig.run().failure)
            #expect(failure.reason == .final)
            #expect(failure.detail.contains("299"))
            #expect(failure.detail.contains("300"))
        }
    }

    @Test func `tells lost records by an end marker that counts more`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 300, marker: Candles.marker(count: 301))
            let failure = try #require(try await rig.run().failure)
            #expect(failure.reason == .dataLost)
            #expect(failure.detail.contains("301"))
        }
    }

    @Test func `tells how long it waits at the end of what is there`() async throws {
        try await withRig { rig in
            try await rig.fill([Candles.batch(1...500)])
            let waits = Mutex<[Duration]>([])
            let outcome = try await rig.run(
                hooks: ConnectorHooks(
                    shouldStop: { waits.withLock { $0.last ?? .zero } >= .seconds(1) },
                    report: { _, waitsAtEnd in waits.withLock { $0.append(waitsAtEnd) } }))
            guard case .interrupted(let counts) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(counts.recordsRead == 500 && waits.withLock { $0.first } == .zero)
        }
    }

    @Test func `fails when the store holds fewer documents than the marker counts`() async throws {
        try await withRig { rig in
            var batch = Candles.batch(1...9)
            Candles.append(10, json: Candles.json(9), to: &batch)
            try Candles.appendMarker(
                EndMarker(count: 10, firstKey: Candles.key(1), lastKey: Candles.key(9)), to: &batch)
            try await rig.fill([batch])
            let failure = try #require(try await rig.run().failure)
            #expect(failure.reason == .final)
            #expect(failure.detail.contains("holds 9 documents"))
            #expect(failure.detail.contains("at least 10"))
        }
    }

    @Test func `warns when the range holds more documents than expected`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 10)
            try #require(try await rig.run().finished != nil)
            let other = try await rig.withTopic()
            var batch = Candles.batch(1...1)
            Candles.append(2, json: Candles.json(3), to: &batch)
            try Candles.appendMarker(
                EndMarker(count: 2, firstKey: Candles.key(1), lastKey: Candles.key(3)), to: &batch)
            try await other.fill([batch])
            let end = try #require(try await other.run().finished)
            #expect(end.counts.duplicates == 2)
            #expect(end.counts.recordsWritten == 0)
            #expect(end.extra["warning"] == .string("the range holds 3 documents, 2 were expected"))
        }
    }

    @Test func `refuses a stored position that is not in the partition`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 10)
            let progress = try await rig.store.claim(rig.stream, attempt: 1)
            try await rig.store.ensureCollection(rig.collection, indexes: [])
            _ = try await rig.store.write(
                DocumentBatch(), to: rig.collection, mode: .insertOrIgnore,
                advance: StreamAdvance(
                    stream: rig.stream, from: progress, nextOffset: 5_000, lastSequence: 4_990,
                    deadLetters: 0)
            ) { _ in }
            let failure = try #require(try await rig.run(attempt: 2).failure)
            #expect(failure.reason == .dataLost)
            #expect(failure.detail.contains("5000"))
        }
    }
}

extension Rig {
    /// The same collection behind another topic.
    func withTopic() async throws -> Rig {
        let topic = uniqueName("wf-data")
        try await admin.createTopics([TopicSpecification(topic, partitions: 1)])
        return Rig(
            kafka: kafka, pool: pool, store: store, admin: admin, topic: topic, collection: collection,
            symbol: symbol)
    }
}
