import DocumentStores
import MarketData
import Testing
import Workflow

extension DocumentStoreContract {
    static let progress: [DocumentStoreContract] = [
        DocumentStoreContract(name: "the first claim of a stream is at zero, a repeated one the same") {
            store, names in
            let first = try await store.claim(names.stream(), attempt: 1)
            #expect(first == StreamProgress(attempt: 1))
            let again = try await store.claim(names.stream(), attempt: 1)
            #expect(again == first)
        },
        DocumentStoreContract(name: "one of many claims at once wins and lower ones are superseded") {
            store, names in
            let outcomes = await withTaskGroup(of: (Int, StoreError.Code?).self) { group in
                for attempt in 1...8 {
                    group.addTask {
                        do throws(StoreError) {
                            _ = try await store.claim(names.stream(), attempt: attempt)
                            return (attempt, nil)
                        } catch { return (attempt, error.code) }
                    }
                }
                return await group.reduce(into: [Int: StoreError.Code?]()) { $0[$1.0] = $1.1 }
            }
            #expect(outcomes[8] == .some(nil))
            #expect(outcomes.values.allSatisfy { $0 == nil || $0 == .superseded })
        },
        DocumentStoreContract(name: "progress adds up over batches and attempts") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let claimed = try await store.claim(names.stream(), attempt: 1)
            let first = try await store.write(
                (0..<3).map { makeCandle("BTCUSDT", "5m", $0) }, to: name,
                advance: StreamAdvance(
                    stream: names.stream(), from: claimed, nextOffset: 4, lastSequence: 3, deadLetters: 1))
            let expected = StreamProgress(
                attempt: 1, nextOffset: 4, lastSequence: 3, recordsWritten: 3, duplicates: 0, deadLetters: 1)
            #expect(first.progress == expected)
            let taken = try await store.claim(names.stream(), attempt: 2)
            var moved = expected
            moved.attempt = 2
            #expect(taken == moved)
            let second = try await store.write(
                (2..<5).map { makeCandle("BTCUSDT", "5m", $0) }, to: name,
                advance: StreamAdvance(
                    stream: names.stream(), from: taken, nextOffset: 9, lastSequence: 6, deadLetters: 0))
            #expect(
                second.progress
                    == StreamProgress(
                        attempt: 2, nextOffset: 9, lastSequence: 6, recordsWritten: 5, duplicates: 1,
                        deadLetters: 1))
        },
        DocumentStoreContract(name: "an advance moves without documents") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let claimed = try await store.claim(names.stream(), attempt: 1)
            let outcome = try await store.write(
                [], to: name,
                advance: StreamAdvance(
                    stream: names.stream(), from: claimed, nextOffset: 7, lastSequence: 5, deadLetters: 2))
            #expect(outcome.progress?.nextOffset == 7)
            let stored = try await store.claim(names.stream(), attempt: 1)
            #expect(stored == outcome.progress)
        },
        DocumentStoreContract(name: "a superseded attempt writes no document") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let old = try await store.claim(names.stream(), attempt: 1)
            _ = try await store.claim(names.stream(), attempt: 2)
            let error = await #expect(throws: StoreError.self) {
                try await store.write(
                    [makeCandle("BTCUSDT", "5m", 0)], to: name,
                    advance: StreamAdvance(
                        stream: names.stream(), from: old, nextOffset: 1, lastSequence: 1, deadLetters: 0))
            }
            #expect(error?.code == .superseded)
            let claim = await #expect(throws: StoreError.self) {
                try await store.claim(names.stream(), attempt: 1)
            }
            #expect(claim?.code == .superseded)
            let count = try await store.count(in: name, range: makeRange("BTCUSDT", "5m", 0...0))
            #expect(count == 0)
        },
        DocumentStoreContract(name: "a stale position is a conflict and moves nothing") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let claimed = try await store.claim(names.stream(), attempt: 1)
            let advance = StreamAdvance(
                stream: names.stream(), from: claimed, nextOffset: 1, lastSequence: 1, deadLetters: 0)
            let outcome = try await store.write([makeCandle("BTCUSDT", "5m", 0)], to: name, advance: advance)
            let error = await #expect(throws: StoreError.self) {
                try await store.write([makeCandle("BTCUSDT", "5m", 1)], to: name, advance: advance)
            }
            #expect(error?.code == .conflict)
            let stored = try await store.claim(names.stream(), attempt: 1)
            #expect(stored == outcome.progress)
        },
        DocumentStoreContract(name: "refused documents are handed over before the position moves") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let claimed = try await store.claim(names.stream(), attempt: 1)
            let recorder = RefusedRecorder()
            let outcome = try await store.write(
                poisoned, to: name, mode: .insertOrIgnore,
                advance: StreamAdvance(
                    stream: names.stream(), from: claimed, nextOffset: 6, lastSequence: 5, deadLetters: 0)
            ) { refused in
                await recorder.add(refused)
                // A claim of the same attempt reads the stored position.
                let stored = try await store.claim(names.stream(), attempt: 1)
                #expect(stored == claimed)
            }
            #expect((outcome.created, outcome.existing) == (3, 0))
            #expect(outcome.refused.map(\.index) == [1, 3])
            #expect(await recorder.all == outcome.refused)
            #expect(outcome.refused.allSatisfy { !$0.reason.isEmpty })
            #expect(outcome.progress?.deadLetters == 2)
            #expect(outcome.progress?.recordsWritten == 3)
        },
        DocumentStoreContract(name: "nothing moves when the refused cannot be handed over") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let claimed = try await store.claim(names.stream(), attempt: 1)
            let lost = StoreError(.unavailable, operation: "dead-letter", detail: "the topic is gone")
            let error = await #expect(throws: StoreError.self) {
                try await store.write(
                    poisoned, to: name, mode: .insertOrIgnore,
                    advance: StreamAdvance(
                        stream: names.stream(), from: claimed, nextOffset: 6, lastSequence: 5, deadLetters: 0)
                ) { _ in throw lost }
            }
            #expect(error == lost)
            let stored = try await store.claim(names.stream(), attempt: 1)
            #expect(stored == claimed)
        },
        DocumentStoreContract(name: "streams of one topic keep apart") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let one = try await store.claim(names.stream(1), attempt: 1)
            _ = try await store.claim(names.stream(11), attempt: 3)
            try await store.write(
                [], to: name,
                advance: StreamAdvance(
                    stream: names.stream(1), from: one, nextOffset: 5, lastSequence: 5, deadLetters: 0))
            let other = try await store.claim(names.stream(11), attempt: 3)
            #expect(other == StreamProgress(attempt: 3))
        },
    ]

    static let ranges: [DocumentStoreContract] = [
        DocumentStoreContract(name: "counts and scans one symbol and interval, in key order") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [candleIndex])
            let symbols = ["BTCUSDT", "BTCUSD", "BTCUSDTA", "ETHUSDT", "1INCHUSDT"]
            let intervals = ["1m", "1mo", "5m", "15m"]
            var documents: [(key: String, json: String)] = []
            for symbol in symbols {
                for interval in intervals { documents += (0..<20).map { makeCandle(symbol, interval, $0) } }
            }
            documents.shuffle()
            try await store.write(documents, to: name)
            for symbol in symbols {
                for interval in intervals {
                    let range = makeRange(symbol, interval, 3...16)
                    let count = try await store.count(in: name, range: range)
                    #expect(count == 14)
                    let keys = try await store.documents(in: name, range, page: 5).map {
                        try member("_key", of: $0)
                    }
                    #expect(keys == (3...16).map { makeCandle(symbol, interval, $0).key })
                }
            }
        },
        DocumentStoreContract(name: "scans trades, which have no interval, at every page size") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            func key(_ kind: String, _ id: Int) -> String {
                "BTCUSDT-\(kind)-" + String(repeating: "0", count: 20 - String(id).count) + String(id)
            }
            let ids = [1, 9, 10, 99, 100, 3_735_683_259]
            try await store.write(
                ["a", "t"].flatMap { kind in
                    ids.map {
                        (
                            key(kind, $0),
                            "{\"_key\":\"\(key(kind, $0))\",\"symbol\":\"BTCUSDT\",\"trade_id\":\($0)}"
                        )
                    }
                }, to: name)
            let range = KeyRange(
                first: key("a", 1), last: key("a", 3_735_683_259), symbol: "BTCUSDT", interval: nil)
            for page in 1...7 {
                let keys = try await store.documents(in: name, range, page: page).map {
                    try member("_key", of: $0)
                }
                #expect(keys == ids.map { key("a", $0) })
            }
        },
        DocumentStoreContract(name: "an empty range counts zero and hands over no page") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let range = makeRange("BTCUSDT", "5m", 0...9)
            let count = try await store.count(in: name, range: range)
            #expect(count == 0)
            try await store.scan(name, range: range, pageDocumentsMax: 10) { page in
                Issue.record("handed over \(page.count) documents")
            }
        },
        DocumentStoreContract(name: "a scan ends with the reader's own error") { store, names in
            struct Enough: Error {}
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            try await store.write((0..<10).map { makeCandle("BTCUSDT", "5m", $0) }, to: name)
            await #expect(throws: Enough.self) {
                try await store.scan(name, range: makeRange("BTCUSDT", "5m", 0...9), pageDocumentsMax: 2) {
                    _ in
                    throw Enough()
                }
            }
        },
        DocumentStoreContract(name: "digests a range as the source does") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [candleIndex])
            let candles = (0..<50).map { makeCandle("BTCUSDT", "5m", $0) }
            try await store.write(candles.shuffled() + [makeCandle("ETHUSDT", "5m", 3)], to: name)
            var source = RangeDigester(shape: .candle)
            for index in 0..<50 {
                let time = 1_722_470_400_000 + index * 300_000
                try source.add(
                    key: candles[index].key,
                    values: [
                        candles[index].key, "BTCUSDT", "5m", "\(time)", "1", "2", "0.5", "1.5", "10",
                        "\(time + 299_999)", "15", "7", "5", "7.5",
                    ])
            }
            let digest = try await store.digest(
                of: name, range: makeRange("BTCUSDT", "5m", 0...49), shape: .candle, pageDocumentsMax: 7)
            #expect(digest == source.finish())
        },
    ]
}

/// Five documents of which 1 and 3 are no JSON objects.
private let poisoned: DocumentBatch = makeBatch([
    makeCandle("BTCUSDT", "5m", 0),
    ("BTCUSDT-5m-1722470700000", "{\"_key\":\"BTCUSDT-5m-1722470700000\",\"symbol\":"),
    makeCandle("BTCUSDT", "5m", 2), ("k3", ""), makeCandle("BTCUSDT", "5m", 4),
])
