import DocumentStores
import Testing
import Workflow

extension DocumentStoreContract {
    static let collections: [DocumentStoreContract] = [
        DocumentStoreContract(name: "creates a collection twice and by many at once") { store, names in
            let name = try names.collection()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask { try await store.ensureCollection(name, indexes: [candleIndex]) }
                }
                try await group.waitForAll()
            }
            try await store.ensureCollection(name, indexes: [candleIndex])
            let count = try await store.count(in: name, range: makeRange("BTCUSDT", "5m", 0...9))
            #expect(count == 0)
        },
        DocumentStoreContract(name: "takes a collection of a symbol that begins with a digit") {
            store, names in
            let name = try names.collection("s_1inchusdt_api_candles_5m")
            try await store.ensureCollection(name, indexes: [candleIndex])
            let outcome = try await store.write([makeCandle("1INCHUSDT", "5m", 0)], to: name)
            #expect(outcome.created == 1)
        },
        DocumentStoreContract(name: "throws notFound for a collection that is not there") { store, names in
            let name = try names.collection()
            let range = makeRange("BTCUSDT", "5m", 0...9)
            let written = await #expect(throws: StoreError.self) {
                try await store.write([makeCandle("BTCUSDT", "5m", 0)], to: name)
            }
            #expect(written?.code == .notFound)
            let counted = await #expect(throws: StoreError.self) {
                try await store.count(in: name, range: range)
            }
            #expect(counted?.code == .notFound)
            let scanned = await #expect(throws: StoreError.self) {
                try await store.documents(in: name, range)
            }
            #expect(scanned?.code == .notFound)
        },
        DocumentStoreContract(name: "drops a collection, and one that is gone") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            try await store.write([makeCandle("BTCUSDT", "5m", 0)], to: name)
            try await store.dropCollection(name)
            try await store.dropCollection(name)
            try await store.ensureCollection(name, indexes: [])
            let count = try await store.count(in: name, range: makeRange("BTCUSDT", "5m", 0...9))
            #expect(count == 0)
        },
        DocumentStoreContract(name: "answers a ping") { store, _ in
            try await store.ping(timeout: .seconds(5))
        },
    ]

    static let writes: [DocumentStoreContract] = [
        DocumentStoreContract(name: "insert-or-ignore counts created and existing and keeps the first") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [candleIndex])
            let first = try await store.write((0..<3).map { makeCandle("BTCUSDT", "5m", $0) }, to: name)
            #expect((first.created, first.existing) == (3, 0))
            let second = try await store.write(
                (1..<5).map { makeCandle("BTCUSDT", "5m", $0, close: "9.00") }, to: name)
            #expect((second.created, second.existing) == (2, 2))
            let documents = try await store.documents(in: name, makeRange("BTCUSDT", "5m", 0...9))
            #expect(documents.map { $0.contains("9.00") } == [false, false, false, true, true])
            #expect(second.progress == nil)
        },
        DocumentStoreContract(name: "upsert replaces what is there") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [candleIndex])
            let key = makeCandle("BTCUSDT", "5m", 0).key
            let old = "{\"_key\":\"\(key)\",\"symbol\":\"BTCUSDT\",\"interval\":\"5m\",\"gone\":1}"
            try await store.write([(key, old)], to: name)
            let outcome = try await store.write(
                [makeCandle("BTCUSDT", "5m", 0, close: "9.00"), makeCandle("BTCUSDT", "5m", 1)], to: name,
                mode: .upsert)
            #expect((outcome.created, outcome.existing) == (1, 1))
            let documents = try await store.documents(in: name, makeRange("BTCUSDT", "5m", 0...0))
            #expect(documents.count == 1)
            #expect(documents.first?.contains("9.00") == true)
            #expect(documents.first?.contains("gone") == false)
        },
        DocumentStoreContract(name: "insert-or-ignore keeps the first of duplicates inside a batch") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let twice = [
                makeCandle("BTCUSDT", "5m", 0, close: "1.00"), makeCandle("BTCUSDT", "5m", 0, close: "2.00"),
            ]
            let outcome = try await store.write(twice + [makeCandle("BTCUSDT", "5m", 1)], to: name)
            #expect((outcome.created, outcome.existing) == (2, 1))
            let documents = try await store.documents(in: name, makeRange("BTCUSDT", "5m", 0...0))
            #expect(documents.count == 1 && documents[0].contains("\"1.00\""))
        },
        DocumentStoreContract(name: "upsert keeps the last of duplicates inside a batch") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let twice = [
                makeCandle("BTCUSDT", "5m", 0, close: "8.00"), makeCandle("BTCUSDT", "5m", 0, close: "9.00"),
            ]
            let outcome = try await store.write(twice, to: name, mode: .upsert)
            #expect((outcome.created, outcome.existing) == (1, 1))
            let documents = try await store.documents(in: name, makeRange("BTCUSDT", "5m", 0...0))
            #expect(documents.count == 1 && documents[0].contains("9.00"))
        },
        DocumentStoreContract(name: "removes documents by key, also those that are not there") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            try await store.write((0..<4).map { makeCandle("BTCUSDT", "5m", $0) }, to: name)
            let keys = [1, 3, 7].map { makeCandle("BTCUSDT", "5m", $0).key }
            try await store.remove(keys, from: name)
            try await store.remove(keys, from: name)
            try await store.remove([], from: name)
            let documents = try await store.documents(in: name, makeRange("BTCUSDT", "5m", 0...9))
            #expect(documents.count == 2)
            let gone = try names.collection("gone")
            let error = await #expect(throws: StoreError.self) { try await store.remove(keys, from: gone) }
            #expect(error?.code == .notFound)
        },
        DocumentStoreContract(name: "an empty batch writes nothing") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let outcome = try await store.write([], to: name)
            #expect((outcome.created, outcome.existing, outcome.refused.count) == (0, 0, 0))
        },
        DocumentStoreContract(name: "takes 10,000 documents at once and again") { store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [candleIndex])
            let documents = (0..<DocumentBatch.documentsMax).map { makeCandle("BTCUSDT", "5m", $0) }
            let first = try await store.write(documents, to: name)
            #expect((first.created, first.existing) == (10_000, 0))
            let second = try await store.write(documents, to: name)
            #expect((second.created, second.existing) == (0, 10_000))
            let count = try await store.count(in: name, range: makeRange("BTCUSDT", "5m", 0...9_999))
            #expect(count == 10_000)
        },
        DocumentStoreContract(name: "keeps text of any script and a pretty-printed document") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let note = "Größe 日本 🚀 \\\"quoted\\\" \\\\ back\\nslash"
            let json = "{\n  \"_key\": \"k1\",\n  \"symbol\": \"X\",\n  \"note\": \"\(note)\"\n}\n"
            let outcome = try await store.write([("k1", json)], to: name)
            #expect(outcome.created == 1)
            let range = KeyRange(first: "k0", last: "k2", symbol: "X", interval: nil)
            let stored = try await store.documents(in: name, range)
            let text = try #require(stored.first)
            #expect(try member("note", of: text) == "Größe 日本 🚀 \"quoted\" \\ back\nslash")
        },
        DocumentStoreContract(name: "keeps integers exactly and gives back no attribute of its own") {
            store, names in
            let name = try names.collection()
            try await store.ensureCollection(name, indexes: [])
            let json =
                "{\"_key\":\"k1\",\"symbol\":\"X\",\"trade_id\":9007199254740993,\"price\":\"0.10000000\"}"
            try await store.write([("k1", json)], to: name)
            let range = KeyRange(first: "k0", last: "k2", symbol: "X", interval: nil)
            let text = try #require(try await store.documents(in: name, range).first)
            #expect(try memberNames(of: text) == ["_key", "price", "symbol", "trade_id"])
            #expect(text.contains("9007199254740993"))
            #expect(text.contains("\"0.10000000\""))
        },
    ]
}
