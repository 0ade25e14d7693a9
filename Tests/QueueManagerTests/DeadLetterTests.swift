import DocumentStores
import KafkaBridge
import Logging
import PostgresBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(3)))
struct DeadLetterTests {
    // MARK: Copying

    @Test func `letters of a real topic are copied once, and what comes before the topic goes is not lost`()
        async throws
    {
        try await withBroker { kafka in
            try await withPostgres { pool in
                let desk = try await LetterDesk(pool, kafka: kafka)
                let topic = DerivedName.deadLetterTopic(dataTopic: "\(desk.id)-data")
                let admin = try KafkaAdmin(kafka, observe: { _ in })
                let producer = try KafkaProducer(kafka, observe: { _ in })
                try await admin.createTopics([TopicSpecification(topic, partitions: 1)])
                #expect(try await desk.collector.round() == 0)

                var batch = RecordBatch()
                desk.append(3, reason: "field open is missing", to: &batch)
                desk.append(5, reason: "it is no JSON object", to: &batch)
                // A connector that was killed sends its letter again; something foreign lies between.
                desk.append(3, reason: "field open is missing", to: &batch)
                batch.append(key: Array("foreign".utf8), value: [UInt8]?.none)
                _ = try await producer.send(batch, to: topic)
                try await desk.count(3)
                #expect(try await desk.collector.round() == 2)
                #expect(try await desk.collector.round() == 0)
                let letters = try #require(try await desk.letters())
                #expect(letters.map(\.key) == ["\(desk.id)-data/0/3", "\(desk.id)-data/0/5"])
                #expect(letters.map(\.reason) == ["field open is missing", "it is no JSON object"])
                #expect(letters.map(\.id.description) == ["store[BTCUSDT]", "store[BTCUSDT]"])
                #expect(letters[0].value == Array("{\"broken\":3}".utf8) && !letters[0].isCut)
                #expect(
                    letters[0].headers
                        == .array([.object(["name": .string("sf-seq"), "value": .string("3")])]))

                // The worker dies before it counts its last letter; the queue ends and is cleaned up.
                var last = RecordBatch()
                desk.append(9, reason: "symbol is not BTCUSDT", to: &last)
                _ = try await producer.send(last, to: topic)
                #expect(try await desk.collector.round() == 0)
                #expect(try await desk.collector.drain(desk.id, desk.plan) == 1)
                try await admin.deleteTopics([topic])
                #expect(try await desk.collector.drain(desk.id, desk.plan) == 0)
                #expect(try await desk.letters()?.count == 3)
                try await producer.close()
                await admin.close()
            }
        }
    }

    @Test func `two replicas that read the same letters store each once`() async throws {
        try await withPostgres { pool in
            let topic = FakeTopic()
            let desk = try await LetterDesk(pool, topics: topic.topics)
            for offset in 0..<500 { topic.append(desk.record(Int64(offset), reason: "bad")) }
            let copied = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask { try await desk.collector.drain(desk.id, desk.plan) }
                }
                return try await group.reduce(0, +)
            }
            #expect(copied == 500)
            #expect(try await desk.collector.drain(desk.id, desk.plan) == 0)
            var keys: [String] = []
            var after: Int64 = 0
            while let page = try await desk.store.letters(of: desk.id, .init(), after: after, limit: 150),
                let last = page.last
            {
                keys += page.map(\.key)
                after = last.number
            }
            #expect(keys == (0..<500).map { "\(desk.id)-data/0/\($0)" })
        }
    }

    @Test func `a topic that was made anew is read from its beginning`() async throws {
        try await withPostgres { pool in
            let topic = FakeTopic()
            let desk = try await LetterDesk(pool, topics: topic.topics)
            for offset in 0..<5 { topic.append(desk.record(Int64(offset), reason: "bad")) }
            #expect(try await desk.collector.drain(desk.id, desk.plan) == 5)
            topic.clear()
            topic.append(desk.record(77, reason: "bad"))
            #expect(try await desk.collector.drain(desk.id, desk.plan) == 1)
        }
    }

    @Test func `a value that is too large is kept in part and needs another one`() async throws {
        try await withPostgres { pool in
            let topic = FakeTopic()
            let desk = try await LetterDesk(pool, topics: topic.topics)
            var record = desk.record(0, reason: "bad")
            record.value = [UInt8](repeating: 0x20, count: DeadLetter.valueBytesMax + 1)
            topic.append(record)
            try await desk.collector.drain(desk.id, desk.plan)
            let letter = try #require(try await desk.letters()?.first)
            #expect(letter.isCut && letter.value?.count == DeadLetter.valueBytesMax)
            guard case .refused(let refused) = try await desk.replay(letter) else {
                Issue.record("a cut value was stored")
                return
            }
            #expect(refused.reason.hasSuffix("give a value") && refused.state == .open)
            let edited = Array(LetterDesk.candle(4).utf8)
            guard case .settled = try await desk.replay(letter, edited) else {
                Issue.record("a good value was refused")
                return
            }
        }
    }

    // MARK: Settling

    @Test func `an edited letter becomes a document once, with an event, in a queue that is over`()
        async throws
    {
        try await withPostgres { pool in
            let desk = try await LetterDesk(pool, letters: 2)
            try await pool.execute("UPDATE streamforge.queues SET status = 'finished', is_cleaned = true")
            let letter = try #require(try await desk.letters()?.first)

            guard case .refused(let still) = try await desk.replay(letter) else {
                Issue.record("a broken record was stored")
                return
            }
            #expect(still.reason == "field _key is missing" && still.state == .open)

            let edited = Array(LetterDesk.candle(4).utf8)
            guard case .settled(let done) = try await desk.replay(letter, edited) else {
                Issue.record("a good record was refused")
                return
            }
            #expect(done.state == .replayed && done.editedValue == edited && done.settledBy == "anna")
            #expect(try await desk.documentKeys() == ["BTCUSDT-5m-1722471600000"])
            // The answer was lost and the request comes again.
            #expect(try await desk.replay(letter, edited) == .settledBefore(done))
            #expect(try await desk.documentKeys().count == 1)
            let events = try #require(try await desk.engine.store.events(of: desk.id, after: 1, limit: 10))
                .events
            #expect(events.map(\.kind) == ["dead_letter_replayed"] && events.first?.actor == "anna")
            #expect(events.first?.number == 2)
        }
    }

    @Test func `a record that is there already stays as it is`() async throws {
        try await withPostgres { pool in
            let desk = try await LetterDesk(pool, letters: 2)
            let letters = try #require(try await desk.letters())
            _ = try await desk.replay(letters[0], Array(LetterDesk.candle(4).utf8))
            let other = LetterDesk.candle(4).replacing("\"close\":\"1.50\"", with: "\"close\":\"9.99\"")
            guard case .settled = try await desk.replay(letters[1], Array(other.utf8)) else {
                Issue.record("a repeat was refused")
                return
            }
            let stored = try await pool.execute(
                "SELECT document->>'close' FROM documents.\"btcusdt_api_candles_5m_2024_08_01\"")
            #expect(try stored.map { try $0[0, as: String.self] } == ["1.50"])
        }
    }

    @Test func `a discarded letter cannot be replayed, nor the other way round`() async throws {
        try await withPostgres { pool in
            let desk = try await LetterDesk(pool, letters: 2)
            let letters = try #require(try await desk.letters())
            guard
                case .settled(let gone) = try await desk.desk.discard(
                    letters[0].number, of: desk.id, actor: "b")
            else {
                Issue.record("not discarded")
                return
            }
            #expect(gone.state == .discarded)
            let late = try await desk.replay(letters[0], Array(LetterDesk.candle(4).utf8))
            #expect(late == .settledBefore(gone))
            #expect(try await desk.documentKeys().isEmpty)
            #expect(try await desk.desk.discard(9_999, of: desk.id, actor: "b") == .unknown)
            let open = try #require(
                try await desk.store.letters(of: desk.id, .init(state: .open), after: 0, limit: 10))
            #expect(open.map(\.number) == [letters[1].number])
        }
    }

    @Test func `of a shared topic each queue gets its own letters, told by their headers`() async throws {
        try await withPostgres { pool in
            let topic = FakeTopic()
            let desk = try await LetterDesk(pool, topics: topic.topics)
            var plan = desk.plan
            plan.transport = .shared
            func letter(_ offset: Int64, queue: String, instance: String) -> DeadRecord {
                DeadRecord(
                    offset: 0, key: Array("market-candles/7/\(offset)".utf8), value: Array("{}".utf8),
                    headers: [
                        ("sf-queue", Array(queue.utf8)), ("sf-step", Array("store".utf8)),
                        ("sf-instance", Array(instance.utf8)), ("sf-reason", Array("bad".utf8)),
                    ])
            }
            topic.append(letter(3, queue: desk.id.rawValue, instance: "BTCUSDT"))
            topic.append(letter(4, queue: "wf-other-aaaaaa", instance: "BTCUSDT"))
            topic.append(letter(5, queue: desk.id.rawValue, instance: "NONE"))
            topic.append(letter(3, queue: desk.id.rawValue, instance: "BTCUSDT"))
            #expect(try await desk.collector.drain(desk.id, plan) == 1)
            #expect(try await desk.collector.drain(desk.id, plan) == 0)
            let letters = try #require(try await desk.letters())
            #expect(letters.map(\.key) == ["market-candles/7/3"])
            #expect(letters.map(\.id.description) == ["store[BTCUSDT]"])
            // Another queue reads the same topic from its beginning.
            let position = "market-candles-dead/\(desk.id)"
            #expect(try await desk.store.position(of: position) == 4)
            #expect(try await desk.store.position(of: "market-candles-dead") == 0)
        }
    }

    @Test func `while a letter is being replayed nobody else can settle it`() async throws {
        try await withPostgres { pool in
            let desk = try await LetterDesk(pool, letters: 1)
            let letter = try #require(try await desk.letters()?.first)
            let outcome = try await desk.store.settle(letter.number, of: desk.id, actor: "a") { _, _ in
                let other = try await desk.desk.discard(letter.number, of: desk.id, actor: "b")
                #expect(other == .busy)
                return .discarded
            }
            guard case .settled(let done) = outcome else {
                Issue.record("not settled: \(outcome)")
                return
            }
            #expect(done.settledBy == "a")
        }
    }

    @Test func `a store that is away leaves the letter open`() async throws {
        try await withPostgres { pool in
            let desk = try await LetterDesk(pool, letters: 1)
            let letter = try #require(try await desk.letters()?.first)
            await desk.documents.close()
            let error = await #expect(throws: StoreError.self) {
                try await desk.replay(letter, Array(LetterDesk.candle(4).utf8))
            }
            #expect(error?.code == .unavailable)
            #expect(try await desk.letters()?.first == letter)
        }
    }

    @Test func `a bulk replay stores what is good and says what is not`() async throws {
        try await withPostgres { pool in
            let desk = try await LetterDesk(pool, letters: 3)
            // A fault of an earlier version of the check: two of the records are good after all.
            for offset in [0, 2] {
                try await pool.execute(
                    """
                    UPDATE streamforge.dead_letters SET value = \(Array(LetterDesk.candle(offset).utf8)),
                    value_bytes = 300 WHERE record_offset = \(offset)
                    """)
            }
            try await pool.execute("UPDATE streamforge.dead_letters SET value_bytes = octet_length(value)")
            let report = try #require(
                try await desk.desk.replayAll(of: desk.id, step: nil, after: 0, actor: "anna"))
            #expect(report.replayed == 2 && report.refused.map(\.offset) == [1] && report.next == nil)
            #expect(
                try await desk.documentKeys() == ["BTCUSDT-5m-1722470400000", "BTCUSDT-5m-1722471000000"])
            let strange = try #require(QueueID("wf-none-aaaaaa"))
            #expect(try await desk.desk.replayAll(of: strange, step: nil, after: 0, actor: "anna") == nil)
        }
    }
}

/// A queue with letters, over a real database and document store.
private struct LetterDesk: Sendable {
    let engine: EngineFixture
    let id: QueueID
    let plan: Plan
    let pool: PostgresPool
    let store: DeadLetterStore
    let documents: PostgreSQLDocumentStore
    let collector: DeadLetterCollector
    let desk: DeadLetterReplay

    init(_ pool: PostgresPool, topics: DeadLetterTopics) async throws {
        self.pool = pool
        engine = try await EngineFixture(pool)
        id = try await engine.createQueue()
        plan = try #require(try await engine.store.queue(id)).queue.plan
        store = DeadLetterStore(pool)
        documents = try await PostgreSQLDocumentStore.open(pool.configuration.currentURL(), connectionsMax: 2)
        let observe = UpkeepObserver.silent
        collector = DeadLetterCollector(store: store, topics: topics, observe: observe)
        desk = DeadLetterReplay(store: store, documents: documents, observe: observe)
    }

    init(_ pool: PostgresPool, kafka: KafkaConnection) async throws {
        try await self.init(pool, topics: DeadLetterTopics.kafka(kafka, observe: { _ in }).topics)
    }

    /// With letters of the offsets 0, 1 … whose values are `{"broken":…}`.
    init(_ pool: PostgresPool, letters: Int) async throws {
        let topic = FakeTopic()
        try await self.init(pool, topics: topic.topics)
        for offset in 0..<letters { topic.append(record(Int64(offset), reason: "bad")) }
        try await collector.drain(id, plan)
    }

    func letters() async throws -> [DeadLetter]? {
        try await store.letters(of: id, .init(), after: 0, limit: 100)
    }

    func replay(_ letter: DeadLetter, _ edited: [UInt8]? = nil) async throws -> DeadLetterOutcome {
        try await desk.replay(letter.number, of: id, edited: edited, actor: "anna")
    }

    /// Says that the workers counted this many.
    func count(_ letters: Int) async throws {
        try await pool.execute(
            "UPDATE streamforge.instances SET dead_letters = \(letters) WHERE step = 'store'")
    }

    func record(_ offset: Int64, reason: String) -> DeadRecord {
        DeadRecord(
            offset: 0, key: Array("\(id)-data/0/\(offset)".utf8), value: Array("{\"broken\":\(offset)}".utf8),
            headers: [("sf-seq", Array(String(offset).utf8)), ("sf-reason", Array(reason.utf8))])
    }

    func append(_ offset: Int64, reason: String, to batch: inout RecordBatch) {
        let record = record(offset, reason: reason)
        batch.append(
            key: record.key, value: record.value, headers: record.headers.map { ($0.name, $0.value) })
    }

    func documentKeys() async throws -> [String] {
        let table = "documents.\"btcusdt_api_candles_5m_2024_08_01\""
        guard
            try await pool.execute("SELECT to_regclass(\(table))::text AS name")[0]["name", as: String?.self]
                != nil
        else { return [] }
        return try await pool.execute("SELECT _key FROM \(raw: table) ORDER BY _key")
            .map { try $0[0, as: String.self] }
    }

    static func candle(_ index: Int) -> String {
        let time = 1_722_470_400_000 + index * 300_000
        return """
            {"_key":"BTCUSDT-5m-\(time)","symbol":"BTCUSDT","interval":"5m","open_time":\(time),"open":"1.00",\
            "high":"2.00","low":"0.50","close":"1.50","volume":"10.000","close_time":\(time + 299_999),\
            "quote_volume":"15.0","trades":7,"taker_buy_base":"5","taker_buy_quote":"7.50"}
            """
    }
}

extension UpkeepObserver {
    static let silent = UpkeepObserver(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, factory: PrometheusRegistry())
}

/// A topic in memory that gives few records at a time.
private final class FakeTopic: Sendable {
    private let records = Recorded<DeadRecord>()
    private let start = Mutable(0)

    func append(_ record: DeadRecord) { records.append(record) }
    /// As if it had been deleted and made anew.
    func clear() { start.value = records.all.count }

    private var current: [DeadRecord] { Array(records.all.dropFirst(start.value)) }

    var topics: DeadLetterTopics {
        DeadLetterTopics(
            bounds: { [self] _ in 0..<Int64(current.count) },
            read: { [self] _, offsets in
                let page = Array(current[Int(offsets.lowerBound)..<Int(offsets.upperBound)].prefix(7))
                return .init(records: page, nextOffset: offsets.lowerBound + Int64(page.count))
            })
    }
}
