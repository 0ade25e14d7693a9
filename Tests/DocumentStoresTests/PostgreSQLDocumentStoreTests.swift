import DocumentStores
import PostgresBridge
import Synchronization
import TestSupport
import Testing
import Workflow

/// What only the PostgreSQL store promises; the rest is in the contract suite.
@Suite(.timeLimit(.minutes(2)))
struct PostgreSQLDocumentStoreTests {
    private static let stream = StreamName(topic: "wf-x-data", partition: 3)

    @Test func `a batch and its position are one transaction`() async throws {
        try await withStore { store, pool, collection in
            let start = try await store.claim(Self.stream, attempt: 1)
            let outcome = try await store.write(
                documents(0..<100), to: collection, mode: .insertOrIgnore, advance: advance(start, by: 100)
            ) { _ in }
            #expect(outcome.created == 100 && outcome.existing == 0)
            #expect(
                outcome.progress
                    == StreamProgress(attempt: 1, nextOffset: 100, lastSequence: 100, recordsWritten: 100))
            #expect(try await store.claim(Self.stream, attempt: 2).nextOffset == 100)
            #expect(try await rows(pool) == 100)
        }
    }

    @Test func `a session that dies before the commit leaves neither documents nor progress`() async throws {
        try await withStore { store, pool, collection in
            let start = try await store.claim(Self.stream, attempt: 1)
            // The letter is handed over after the COPY and before the commit: the place to die.
            let error = await #expect(throws: StoreError.self) {
                try await store.write(
                    documents(0..<50, broken: [7]), to: collection, mode: .insertOrIgnore,
                    advance: advance(start, by: 50)
                ) { _ in
                    try await pool.execute(
                        """
                        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                        WHERE datname = current_database() AND state = 'idle in transaction'
                        """)
                }
            }
            #expect(error?.code == .unavailable)
            #expect(try await rows(pool) == 0)
            #expect(try await store.claim(Self.stream, attempt: 1) == start)
            let outcome = try await store.write(
                documents(0..<50, broken: [7]), to: collection, mode: .insertOrIgnore,
                advance: advance(start, by: 50)
            ) { _ in }
            #expect(outcome.created == 49)
        }
    }

    @Test func `a lower attempt writes nothing once a higher one has claimed`() async throws {
        try await withStore { store, pool, collection in
            let first = try await store.claim(Self.stream, attempt: 1)
            _ = try await store.claim(Self.stream, attempt: 2)
            let write = await #expect(throws: StoreError.self) {
                try await store.write(
                    documents(0..<5), to: collection, mode: .insertOrIgnore, advance: advance(first, by: 5)
                ) { _ in }
            }
            #expect(write?.code == .superseded)
            let claim = await #expect(throws: StoreError.self) {
                try await store.claim(Self.stream, attempt: 1)
            }
            #expect(claim?.code == .superseded)
            #expect(try await rows(pool) == 0)
        }
    }

    @Test func `a higher attempt that claims in the middle of a batch undoes it`() async throws {
        try await withStore { store, pool, collection in
            let start = try await store.claim(Self.stream, attempt: 1)
            let error = await #expect(throws: StoreError.self) {
                try await store.write(
                    documents(0..<10, broken: [3]), to: collection, mode: .insertOrIgnore,
                    advance: advance(start, by: 10)
                ) { _ in
                    let claimed = try await store.claim(Self.stream, attempt: 2)
                    #expect(claimed == StreamProgress(attempt: 2))
                }
            }
            #expect(error?.code == .superseded)
            #expect(try await rows(pool) == 0)
            let progress = try await store.claim(Self.stream, attempt: 2)
            #expect(progress == StreamProgress(attempt: 2))
        }
    }

    @Test func `two writers of one attempt cannot both move the stream`() async throws {
        try await withStore { store, pool, collection in
            let start = try await store.claim(Self.stream, attempt: 1)
            let error = await #expect(throws: StoreError.self) {
                try await store.write(
                    documents(0..<10, broken: [3]), to: collection, mode: .insertOrIgnore,
                    advance: advance(start, by: 10)
                ) { _ in
                    _ = try await store.write(
                        documents(20..<25), to: collection, mode: .insertOrIgnore,
                        advance: advance(start, by: 5)
                    ) { _ in }
                }
            }
            #expect(error?.code == .conflict)
            #expect(try await rows(pool) == 5)
            #expect(try await store.claim(Self.stream, attempt: 1).nextOffset == 5)
        }
    }

    @Test func `a writer that believes in an older position is told and writes nothing`() async throws {
        try await withStore { store, pool, collection in
            let start = try await store.claim(Self.stream, attempt: 1)
            let batch = advance(start, by: 5)
            _ = try await store.write(
                documents(0..<5), to: collection, mode: .insertOrIgnore, advance: batch
            ) { _ in }
            let error = await #expect(throws: StoreError.self) {
                try await store.write(
                    documents(5..<10), to: collection, mode: .insertOrIgnore, advance: batch
                ) { _ in }
            }
            #expect(error?.code == .conflict)
            #expect(try await rows(pool) == 5)
            #expect(try await store.claim(Self.stream, attempt: 1).recordsWritten == 5)
        }
    }

    @Test(arguments: WriteMode.allCases)
    func `refused documents in the middle of 5,000 are named and the rest is stored`(mode: WriteMode)
        async throws
    {
        try await withStore { store, pool, collection in
            let start = try await store.claim(Self.stream, attempt: 1)
            let broken = [0, 1, 2_500, 2_501, 4_999]
            let told = Mutex<[Int]>([])
            let outcome = try await store.write(
                documents(0..<5_000, broken: Set(broken)), to: collection, mode: mode,
                advance: advance(start, by: 5_000)
            ) { refused in
                told.withLock { $0 += refused.map(\.index) }
                #expect(refused.allSatisfy { !$0.reason.isEmpty })
            }
            #expect(told.withLock { $0 } == broken)
            #expect(outcome.refused.map(\.index) == broken)
            #expect(outcome.created == 4_995 && outcome.existing == 0)
            #expect(outcome.progress?.deadLetters == 5)
            #expect(try await rows(pool) == 4_995)
        }
    }

    @Test func `when the refused cannot be handed over, nothing moves`() async throws {
        struct NoBroker: Error {}
        try await withStore { store, pool, collection in
            let start = try await store.claim(Self.stream, attempt: 1)
            let error = await #expect(throws: StoreError.self) {
                try await store.write(
                    documents(0..<10, broken: [5]), to: collection, mode: .insertOrIgnore,
                    advance: advance(start, by: 10)
                ) { _ in throw NoBroker() }
            }
            #expect(error?.isRetriable == true)
            #expect(try await rows(pool) == 0)
            #expect(try await store.claim(Self.stream, attempt: 1) == start)
        }
    }

    @Test func `of equal keys in a batch the first stays when ignoring and the last when replacing`()
        async throws
    {
        try await withStore { store, pool, collection in
            for (mode, expected) in [(WriteMode.insertOrIgnore, "a"), (.upsert, "c")] {
                var batch = DocumentBatch()
                for value in ["a", "b", "c"] { batch.append(key: "k-\(mode)", value: value) }
                let outcome = try await store.write(batch, to: collection, mode: mode, advance: nil) { _ in }
                #expect(outcome.created == 1 && outcome.existing == 2)
                #expect(try await value(of: "k-\(mode)", pool) == expected)
            }
        }
    }

    @Test func `a refused document does not take the good one of its key with it`() async throws {
        try await withStore { store, pool, collection in
            var batch = DocumentBatch()
            batch.append(key: Array("k".utf8), json: Array(#"{"_key":"k","value":}"#.utf8))
            batch.append(key: "k", value: "good")
            let outcome = try await store.write(batch, to: collection, mode: .insertOrIgnore, advance: nil) {
                _ in
            }
            #expect(outcome.refused.map(\.index) == [0])
            #expect(outcome.created == 1 && outcome.existing == 0)
            #expect(try await value(of: "k", pool) == "good")
        }
    }

    @Test(arguments: WriteMode.allCases)
    func `writing over what is there counts old and new`(mode: WriteMode) async throws {
        try await withStore { store, pool, collection in
            // Twice the careful batches after a conflict: both ways of writing are taken.
            for round in 0..<40 {
                let batch = documents((round * 10)..<(round * 10 + 20), value: "\(round)")
                let outcome = try await store.write(batch, to: collection, mode: mode, advance: nil) { _ in }
                #expect(outcome.created == (round == 0 ? 20 : 10))
                #expect(outcome.existing == (round == 0 ? 0 : 10))
            }
            #expect(try await rows(pool) == 410)
            #expect(try await value(of: key(395), pool) == (mode == .upsert ? "39" : "38"))
        }
    }

    @Test func `two writers of the same keys in opposite order store each once`() async throws {
        try await withStore { store, pool, collection in
            let created = try await withThrowingTaskGroup(of: Int.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        var created = 0
                        for round in 0..<5 {
                            let numbers = Array((round * 500)..<(round * 500 + 500))
                            let batch = documents(writer % 2 == 0 ? numbers : numbers.reversed())
                            created += try await store.write(
                                batch, to: collection, mode: .insertOrIgnore, advance: nil
                            ) { _ in }.created
                        }
                        return created
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(created == 2_500)
            #expect(try await rows(pool) == 2_500)
        }
    }

    @Test func `a document that breaks a unique index is refused`() async throws {
        try await withStore { store, pool, collection in
            try await store.ensureCollection(
                collection, indexes: [DocumentIndex(fields: ["value"], isUnique: true)])
            var batch = DocumentBatch()
            batch.append(key: "a", value: "same")
            batch.append(key: "b", value: "same")
            let outcome = try await store.write(batch, to: collection, mode: .upsert, advance: nil) { _ in }
            #expect(outcome.refused.map(\.index) == [1])
            #expect(try await rows(pool) == 1)
        }
    }

    @Test func `creating a collection many times at once is fine`() async throws {
        try await withStore { store, _, _ in
            let name = try #require(CollectionName("Odd-name_1"))
            let indexes = [
                DocumentIndex(fields: ["symbol", "open_time"]),
                DocumentIndex(fields: ["it's"], isUnique: true),
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { try await store.ensureCollection(name, indexes: indexes) } }
                try await group.waitForAll()
            }
            try await store.dropCollection(name)
            try await store.dropCollection(name)
            let range = KeyRange(first: "a", last: "z", symbol: "X", interval: nil)
            let error = await #expect(throws: StoreError.self) {
                try await store.count(in: name, range: range)
            }
            #expect(error?.code == .notFound)
        }
    }

    @Test func `counts and reads a range in pages, in key order`() async throws {
        try await withStore { store, _, collection in
            _ = try await store.write(documents(0..<100), to: collection, mode: .insertOrIgnore, advance: nil)
            { _ in }
            let range = KeyRange(first: key(10), last: key(89), symbol: "X", interval: "5m")
            #expect(try await store.count(in: collection, range: range) == 80)
            var other = range
            other.symbol = "Y"
            #expect(try await store.count(in: collection, range: other) == 0)
            var pages: [Int] = []
            var texts: [String] = []
            try await store.scan(collection, range: range, pageDocumentsMax: 30) { page in
                pages.append(page.count)
                texts += page.map { String(decoding: $0, as: UTF8.self) }
            }
            #expect(pages == [30, 30, 20])
            #expect(texts.first?.contains(key(10)) == true && texts.last?.contains(key(89)) == true)
            #expect(texts.map { $0.contains("_key") } == Array(repeating: true, count: 80))
        }
    }

    @Test func `a missing collection, database and server are told apart`() async throws {
        try await withStore { store, pool, _ in
            let absent = try #require(CollectionName("absent"))
            let write = await #expect(throws: StoreError.self) {
                try await store.write(documents(0..<1), to: absent, mode: .upsert, advance: nil) { _ in }
            }
            #expect(write?.code == .notFound)
            let database = await #expect(throws: StoreError.self) {
                try await PostgreSQLDocumentStore.open(
                    pool.configuration.currentURL().with(database: "absent"))
            }
            #expect(database?.code == .notFound)
            try await store.ping(timeout: .seconds(5))
            await store.close()
            let closed = await #expect(throws: StoreError.self) { try await store.ping(timeout: .seconds(5)) }
            #expect(closed?.code == .unavailable)
        }
    }
}

// MARK: Helpers

private func withStore(
    _ body: (PostgreSQLDocumentStore, PostgresPool, CollectionName) async throws -> Void
) async throws {
    try await withPostgres { pool in
        let store = try await PostgreSQLDocumentStore.open(pool.configuration.currentURL())
        let collection = try #require(CollectionName("candles"))
        try await store.ensureCollection(collection, indexes: [])
        try await body(store, pool, collection)
        await store.close()
    }
}

private func key(_ number: Int) -> String {
    "X-5m-\(1_000_000 + number)"
}

private func documents(
    _ numbers: some Sequence<Int>, broken: Set<Int> = [], value: String = "v"
) -> DocumentBatch {
    var batch = DocumentBatch()
    for number in numbers {
        // PostgreSQL's jsonb cannot hold a NUL; the JSON as such is fine.
        batch.append(key: key(number), value: broken.contains(number) ? #"\u0000"# : value)
    }
    return batch
}

private func advance(_ from: StreamProgress, by count: Int64) -> StreamAdvance {
    StreamAdvance(
        stream: StreamName(topic: "wf-x-data", partition: 3), from: from, nextOffset: from.nextOffset + count,
        lastSequence: from.lastSequence + count, deadLetters: 0)
}

private func rows(_ pool: PostgresPool) async throws -> Int {
    try await pool.execute("SELECT count(*) FROM documents.candles")[0][0, as: Int.self]
}

private func value(of key: String, _ pool: PostgresPool) async throws -> String {
    try await pool.execute("SELECT document->>'value' FROM documents.candles WHERE _key = \(key)")[0][
        0, as: String.self]
}

extension DocumentBatch {
    fileprivate mutating func append(key: String, value: String) {
        let json = #"{"_key":"\#(key)","symbol":"X","interval":"5m","value":"\#(value)"}"#
        append(key: Array(key.utf8), json: Array(json.utf8))
    }
}
