import ArangoConnector
import KafkaBridge
import TestSupport
import Testing
import Workflow

@Suite(.serialized, .timeLimit(.minutes(2)))
struct DeadLetterTests {
    @Test func `sends unreadable records to the dead-letter topic and stores the others`() async throws {
        try await withRig { rig in
            let poison: [Int64: String] = [
                2_000: "not JSON", 2_001: "[]",
                2_002: Candles.json(2_002).replacing("BTCUSDT", with: "ETHUSDT"),
            ]
            var batches: [RecordBatch] = []
            var batch = RecordBatch()
            for sequence in Int64(1)...5_000 {
                Candles.append(sequence, json: poison[sequence], to: &batch)
                if sequence == 3_000 { Candles.append(0, json: "{}", withNumber: false, to: &batch) }
                if sequence % 500 == 0 {
                    batches.append(batch)
                    batch = RecordBatch()
                }
            }
            try Candles.appendMarker(Candles.marker(count: 5_000), to: &batch)
            try await rig.fill(batches + [batch])

            let end = try #require(try await rig.run().finished)
            #expect(end.counts.recordsRead == 5_000)
            #expect(end.counts.recordsWritten == 4_997)
            #expect(end.counts.deadLetters == 4)
            #expect(try await rig.keys() == rig.expectedKeys(5_000, without: Set(poison.keys)))
            let letters = try await rig.deadLetters()
            #expect(letters.map(\.number) == ["2000", "2001", "2002", ""])
            #expect(letters.map(\.value) == poison.sorted { $0.key < $1.key }.map(\.value) + ["{}"])
            #expect(letters.allSatisfy { $0.key.hasPrefix("\(rig.topic)/0/") })
            #expect(
                letters.map(\.reason) == [
                    "it is no JSON object", "it is no JSON object", "symbol is not BTCUSDT",
                    "it has no sf-seq",
                ])
        }
    }

    @Test func `a record as large as a topic takes has a letter too, cut`() async throws {
        try await withRig { rig in
            // With key and headers just below the 1,000,000 bytes that a client sends at once.
            let large = "[" + String(repeating: "1", count: 998_000)
            var batch = RecordBatch()
            Candles.append(1, json: large, to: &batch)
            Candles.append(2, json: nil, to: &batch)
            try Candles.appendMarker(Candles.marker(count: 2), to: &batch)
            try await rig.fill([batch])
            var limits = rig.limits
            limits.deadLettersMax = 1
            let end = try #require(try await rig.run(limits: limits).finished)
            #expect(end.counts.recordsWritten == 1 && end.counts.deadLetters == 1)
            let letters = try await rig.deadLetters()
            #expect(letters.map(\.number) == ["1"])
            #expect(letters.first?.value == String(large.prefix(800_000)))
            #expect(
                letters.first?.reason.hasSuffix("(the first 800000 of its 998001 bytes are here)") == true)
        }
    }

    @Test func `sends a document that the store refuses to the dead-letter topic`() async throws {
        try await withRig { rig in
            // Legal JSON that PostgreSQL's jsonb cannot hold.
            let refused = Candles.json(50).replacing("{\"_key\"", with: "{\"note\":\"\\u0000\",\"_key\"")
            var batch = RecordBatch()
            for sequence in Int64(1)...200 {
                Candles.append(sequence, json: sequence == 50 ? refused : nil, to: &batch)
            }
            try Candles.appendMarker(Candles.marker(count: 200), to: &batch)
            try await rig.fill([batch])
            let end = try #require(try await rig.run().finished)
            #expect(end.counts.recordsWritten == 199)
            #expect(end.counts.deadLetters == 1)
            let letters = try await rig.deadLetters()
            #expect(letters.map(\.value) == [refused])
            #expect(letters.map(\.key) == ["\(rig.topic)/0/49"])
            #expect(letters.map(\.number) == ["50"])
            #expect(letters.first?.reason.isEmpty == false)
        }
    }

    @Test func `fails the instance above the limit of dead letters`() async throws {
        try await withRig { rig in
            var batch = RecordBatch()
            for sequence in Int64(1)...500 {
                Candles.append(sequence, json: sequence > 490 ? "poison" : nil, to: &batch)
            }
            try Candles.appendMarker(Candles.marker(count: 500), to: &batch)
            try await rig.fill([batch])
            var limits = rig.limits
            limits.deadLettersMax = 9
            #expect(try await rig.run(limits: limits).failure?.reason == .tooManyDeadLetters)
            // Another attempt does not help, a higher limit does; the default also knows one in a hundred.
            #expect(try await rig.run(attempt: 2).failure?.reason == .tooManyDeadLetters)
            limits.deadLettersMax = 10
            #expect(try await rig.run(attempt: 3, limits: limits).finished?.counts.deadLetters == 10)
        }
    }
}
