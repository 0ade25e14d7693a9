import Foundation
import HTTPBridge
import KafkaBridge
import MarketData
import ServiceRuntime
import Testing
import Workflow

@testable import ArangoStandIn

/// What goes over shared topics beside good candles into PostgreSQL: trades, poison, another store.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SharedRecordsTests {
    /// - Parameter lastDay: of those from the first of August 2024 on.
    private static func request(
        _ parameters: [String: JSONValue] = [:], lastDay: String = "2024-08-02"
    ) -> JSONValue {
        .object([
            "symbols": .array([.string("BTCUSDT")]),
            "time_range": .string("2024-08-01:\(lastDay)"), "transport": .string("shared"),
            "steps": .array([
                .object([
                    "id": .string("load"), "target": .string("loader-api-candles"),
                    "type": .string("api_candles_5m"),
                ]),
                .object([
                    "id": .string("store"), "target": .string("arango-connector"), "input": .string("load"),
                    "params": .object(parameters),
                ]),
            ]),
        ])
    }

    @Test func `aggregate trades are loaded and stored by one command`() async throws {
        try await Rig.with(trades: ["ETHUSDT"]) { rig in
            _ = try await ConnectorProcess.start(rig, "one")
            let log = "\(rig.folder)/logs/start.log"
            var environment = rig.environment
            environment["STREAMFORGE_URL"] = rig.api.base
            let command = try await ChildProcess.start(
                .init(
                    "\(rig.programs)/streamforge",
                    [
                        "start", "--symbols", "ETHUSDT", "--type", "api_trades", "--time-range",
                        "2024-08-09:2024-08-09", "--transport", "shared", "--wait", "--wait-limit", "90",
                    ], environment: environment, logFile: log, diesWithParent: true))
            let exit = await command.waitForExit(timeout: .seconds(100))
            let said = try String(contentsOfFile: log, encoding: .utf8)
            #expect(exit == .code(0), "\(said)")
            let rows = try await rig.store.execute(
                """
                SELECT count(*) AS count, sum((document->>'last_trade_id')::bigint
                    - (document->>'first_trade_id')::bigint + 1)::bigint AS fills
                FROM documents.ethusdt_api_trades_2024_08_09
                """)
            let row = try #require(rows.first)
            // Together they hold every recorded trade of the day.
            #expect(try row["fills", as: Int64.self] == 14_515 - 6_098)
            let told = try await rig.store.execute(
                """
                SELECT count(*) AS count FROM streamforge.queues WHERE plan::text LIKE '%"shared"%'
                """)
            #expect(try #require(told.first)["count", as: Int64.self] == 1)
            try await rig.expectNoLag("market-trades")
        }
    }

    @Test func `ArangoDB stores what comes over shared topics, also when it is away for a moment`()
        async throws
    {
        try await withStandIn(StandInArangoDB(password: "geheim")) { url, server in
            let variables = [
                "ARANGO_URL": url, "ARANGO_DB": "_system", "ARANGO_USER": "root", "ARANGO_PASSWORD": "geheim",
            ]
            try await Rig.with(variables) { rig in
                _ = try await ConnectorProcess.start(rig, "one")
                await server.inject(.unavailable(path: "/_api/import"))
                let queue = try await rig.api.waitUntilFinal(try await rig.api.start(Self.request()))
                #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
                #expect(queue.instance("store", "BTCUSDT")?["records_written"]?.integer == 576)
                #expect(queue.instance("store", "BTCUSDT")?["attempt"]?.integer == 1)
                let served = try await rig.servedDigest("BTCUSDT", from: 1_722_470_400_000, days: 2)
                #expect(try await Self.digest(server, "btcusdt_api_candles_5m_2024_08_01") == served)
                try await rig.expectNoLag("market-candles")
            }
        }
    }

    /// - Parameter limit: of dead letters; nil: the default.
    @Test(arguments: [nil, 0] as [Int64?])
    func `a poison record becomes a letter of its queue, which ends as its limit says`(
        limit: Int64?
    ) async throws {
        try await Rig.with { rig in
            _ = try await ConnectorProcess.start(rig, "one")
            // A page of 1,000 takes 5 s, and there are three.
            try await rig.setPace(200)
            let parameters = limit.map { ["dead_letters_max": JSONValue.integer($0)] } ?? [:]
            let id = try await rig.api.start(Self.request(parameters, lastDay: "2024-08-07"))
            _ = try await rig.api.wait(for: id) { queue in
                (1..<2016).contains(queue.instance("load", "BTCUSDT")?["records_written"]?.integer ?? 0)
            }
            try await rig.poison(id)
            let queue = try await rig.api.waitUntilFinal(id)
            let store = try #require(queue.instance("store", "BTCUSDT"))
            if limit == nil {
                #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
                #expect(store["records_written"]?.integer == 2016)
                #expect(store["dead_letters"]?.integer == 1)
            } else {
                #expect(queue["status"]?.string == "failed")
                let reason = store["reason"]?.string ?? ""
                #expect(
                    reason.contains("1 of 2016 records are dead letters (dead_letters_max is 0)"), "\(reason)"
                )
            }
            let letters = try await rig.deadLetters(of: id)
            #expect(letters.count == 1)
            #expect(letters.first?["reason"]?.string == "it has no sf-seq")
            #expect(letters.first?["step"]?.string == "store")
            // That of nobody too: it is counted for no queue.
            #expect(try await rig.deadLetterCount("market-candles") == 2)
        }
    }

    private static func digest(_ server: StandInArangoDB, _ collection: String) async throws -> RangeDigest {
        let documents = try #require(await server.documents(of: collection))
        var digester = RangeDigester(shape: .candle)
        for (key, document) in documents.sorted(by: { $0.key < $1.key }) {
            let values = RecordShape.candle.fields.map { field -> String? in
                document[field.name].flatMap { $0.string ?? $0.int.map { String($0) } }
            }
            try digester.add(key: key, values: values)
        }
        return digester.finish()
    }
}

extension Rig {
    /// Writes two records beside the loader's: one of the queue's stream without a number, and one of nobody.
    fileprivate func poison(_ queue: String) async throws {
        let topic = "market-candles"
        let admin = try KafkaAdmin(kafka)
        let count = try #require(try await admin.partitionCounts(of: [topic])[topic])
        await admin.close()
        let loader = InstanceID(step: try #require(StepID("load")), instance: "BTCUSDT")
        let partition = DerivedName.sharedPartition(
            try #require(QueueID(queue)), loader, count: Int32(count))
        let headers = [
            RecordHeader.queue: queue, RecordHeader.step: "store", RecordHeader.instance: "BTCUSDT",
            RecordHeader.sinkAttempt: "1", RecordHeader.collection: "btcusdt_api_candles_5m_2024_08_01",
            RecordHeader.type: "api_candles_5m", RecordHeader.interval: "5m",
        ]
        let producer = try KafkaProducer(kafka)
        for headers in [headers, [:]] {
            _ = try await producer.send(
                key: Array("BTCUSDT".utf8), value: Array("poison".utf8),
                headers: headers.map { ($0.key, Array($0.value.utf8)) }, to: topic, partition: partition)
        }
        try await producer.close()
    }

    /// Those that were copied from Kafka, once there are some.
    fileprivate func deadLetters(of queue: String) async throws -> [JSONValue] {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let answer = try await http.execute(
                HTTPRequest(.get, "\(api.base)/queues/\(queue)/dead-letters"))
            let letters = try MessageCodec.decode(JSONValue.self, from: answer.body)["dead_letters"]?.items
            if let letters, !letters.isEmpty { return letters }
            try await Task.sleep(for: .milliseconds(100))
        }
        return []
    }

    /// Records of the dead-letter topic of a shared topic.
    fileprivate func deadLetterCount(_ topic: String) async throws -> Int64 {
        let dead = DerivedName.deadLetterTopic(dataTopic: topic)
        let admin = try KafkaAdmin(kafka)
        let count = try await admin.partitionCounts(of: [dead])[dead] ?? 0
        let ends = try await admin.endOffsets(of: (0..<Int32(count)).map { TopicPartition(dead, $0) })
        await admin.close()
        return ends.values.reduce(0, +)
    }
}
