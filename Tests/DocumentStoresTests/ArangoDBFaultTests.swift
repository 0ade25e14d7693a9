import DocumentStores
import Testing
import Workflow

@testable import ArangoStandIn

/// What only the ArangoDB store promises: it lives with a server that fails, lies or has forgotten it.
@Suite(.timeLimit(.minutes(2)))
struct ArangoDBFaultTests {
    private static let collection = CollectionName("faults")
    private static let stream = StreamName(topic: "wf-faults-data", partition: 0)

    @Test func `tries again after 503 and after a broken connection`() async throws {
        try await withStore { store, server, collection in
            await server.inject(.unavailable(path: "/_api/import"))
            await server.inject(.unavailable(path: "/_api/import"))
            let first = try await store.write(
                (0..<10).map { makeCandle("BTCUSDT", "5m", $0) }, to: collection)
            #expect(first.created == 10)
            await server.inject(.loseReply(path: "/_api/import"))
            let second = try await store.write(
                (10..<20).map { makeCandle("BTCUSDT", "5m", $0) }, to: collection)
            // The lost answer was the one that said "created".
            #expect((second.created, second.existing) == (0, 10))
            let count = try await store.count(in: collection, range: makeRange("BTCUSDT", "5m", 0...99))
            #expect(count == 20)
        }
    }

    @Test func `gives up as unavailable after the last try`() async throws {
        try await withStore { store, server, collection in
            for _ in 0..<6 { await server.inject(.unavailable(path: "/_api/import")) }
            let error = await #expect(throws: StoreError.self) {
                try await store.write([makeCandle("BTCUSDT", "5m", 0)], to: collection)
            }
            #expect(error?.code == .unavailable)
            #expect(error?.detail.contains("503") == true)
        }
    }

    @Test func `a lost answer to the move of a position counts as moved`() async throws {
        try await withStore { store, server, collection in
            let claimed = try await store.claim(Self.stream, attempt: 1)
            // Only the move itself is lost: the fault is set when the documents are written.
            let moved = try await store.write(
                makeBatch([("bad key", "{\"_key\":\"bad key\"}")]), to: collection, mode: .insertOrIgnore,
                advance: advance(claimed, to: 2)
            ) { _ in await server.inject(.loseReply(path: "/_api/document/streamforge_streams/")) }
            let stored = try await store.claim(Self.stream, attempt: 1)
            #expect(moved.progress == stored)
            #expect(stored.nextOffset == 2)
            #expect(stored.deadLetters == 1)
        }
    }

    @Test func `imports again the lines that met a write conflict`() async throws {
        try await withStore { store, server, collection in
            let candles = (0..<100).map { makeCandle("BTCUSDT", "5m", $0) }
            await server.inject(.conflictingKeys([candles[7].key, candles[93].key]))
            let outcome = try await store.write(candles, to: collection)
            #expect((outcome.created, outcome.existing) == (100, 0))
            #expect(await server.requestCount("/_api/import") == 2)
        }
    }

    @Test func `a write conflict that stays is unavailable, not refused`() async throws {
        try await withStore { store, server, collection in
            let candles = (0..<10).map { makeCandle("BTCUSDT", "5m", $0) }
            for _ in 0..<6 { await server.inject(.conflictingKeys([candles[3].key])) }
            let error = await #expect(throws: StoreError.self) {
                try await store.write(candles, to: collection)
            }
            #expect(error?.code == .unavailable)
            #expect(error?.detail.contains("write-write conflict") == true)
        }
    }

    @Test func `finds refused documents among many, whatever is wrong with them`() async throws {
        try await withStore { store, _, collection in
            var documents = (0..<1_000).map { makeCandle("BTCUSDT", "5m", $0) }
            let poison: [Int: (key: String, json: String)] = [
                3: ("bad key", "{\"_key\":\"bad key\",\"symbol\":\"X\"}"),
                4: ("日本", "{\"_key\":\"日本\",\"symbol\":\"X\"}"),
                500: ("k500", "{\"_key\":500}"),
                501: ("k501", "[1,2]"),
                700: ("bad key", "{\"_key\":\"bad key\",\"symbol\":\"X\"}"),
                998: ("k998", "{\"_key\":\"k998\""),
                999: ("k999", " "),
            ]
            for (index, document) in poison { documents[index] = document }
            let recorder = RefusedRecorder()
            let outcome = try await store.write(
                makeBatch(documents), to: collection, mode: .insertOrIgnore, advance: nil
            ) { await recorder.add($0) }
            #expect(outcome.refused.map(\.index) == poison.keys.sorted())
            #expect((outcome.created, outcome.existing) == (993, 0))
            #expect(await recorder.all == outcome.refused)
        }
    }

    @Test func `counters that do not add up are corrupt`() async throws {
        try await withStore { store, server, collection in
            await server.inject(.miscount)
            let error = await #expect(throws: StoreError.self) {
                try await store.write([makeCandle("BTCUSDT", "5m", 0)], to: collection)
            }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func `signs in again when the server has forgotten the token`() async throws {
        try await withStore { store, server, collection in
            await server.inject(.forgetTokens)
            let outcome = try await store.write([makeCandle("BTCUSDT", "5m", 0)], to: collection)
            #expect(outcome.created == 1)
            #expect(await server.requestCount("/_open/auth") == 2)
        }
    }

    @Test func `renews a token before it expires`() async throws {
        try await withStandIn(StandInArangoDB(password: "geheim", tokenSeconds: 0)) { url, server in
            try await withArangoDB(url) { store in
                let collection = try #require(Self.collection)
                for _ in 0..<3 { try await store.ensureCollection(collection, indexes: []) }
            }
            #expect(await server.requestCount("/_open/auth") >= 3)
        }
    }

    @Test func `one token serves many requests`() async throws {
        try await withStore { store, server, collection in
            for index in 0..<5 { try await store.write([makeCandle("BTCUSDT", "5m", index)], to: collection) }
            #expect(await server.requestCount("/_open/auth") == 1)
        }
    }

    @Test(arguments: [true, false])
    func `a wrong password is denied and not shown`(usesToken: Bool) async throws {
        let wrong: @Sendable () -> ArangoDBCredentials = {
            ArangoDBCredentials(user: "root", password: "falsch")
        }
        try await withStandIn(StandInArangoDB(password: "geheim")) { url, _ in
            try await withArangoDB(url, authentication: usesToken ? .token(wrong) : .basic(wrong)) { store in
                let error = await #expect(throws: StoreError.self) {
                    try await store.claim(Self.stream, attempt: 1)
                }
                #expect(error?.code == .denied)
                #expect(error?.description.contains("falsch") == false)
            }
        }
    }

    @Test func `basic authentication works`() async throws {
        try await withStandIn(StandInArangoDB(password: "geheim")) { url, server in
            try await withArangoDB(url, authentication: .basic(standInCredentials)) { store in
                let claimed = try await store.claim(Self.stream, attempt: 1)
                #expect(claimed.attempt == 1)
            }
            #expect(await server.requestCount("/_open/auth") == 0)
        }
    }

    @Test func `a server that only reads is not available`() async throws {
        try await withStore { store, server, _ in
            await server.setMode("readonly")
            let error = await #expect(throws: StoreError.self) { try await store.ping(timeout: .seconds(5)) }
            #expect(error?.code == .unavailable)
        }
    }

    @Test func `a closed store is unavailable`() async throws {
        try await withStore { store, _, collection in
            await store.close()
            let error = await #expect(throws: StoreError.self) {
                try await store.write([makeCandle("BTCUSDT", "5m", 0)], to: collection)
            }
            #expect(error?.code == .unavailable)
        }
    }

    private func withStore(
        _ body:
            @escaping @Sendable (ArangoDBDocumentStore, StandInArangoDB, CollectionName) async throws -> Void
    ) async throws {
        let collection = try #require(Self.collection)
        try await withStandIn(StandInArangoDB(password: "geheim")) { url, server in
            try await withArangoDB(url) { store in
                try await store.ensureCollection(collection, indexes: [])
                try await body(store, server, collection)
            }
        }
    }

    private func advance(_ from: StreamProgress, to offset: Int64) -> StreamAdvance {
        StreamAdvance(
            stream: Self.stream, from: from, nextOffset: offset, lastSequence: offset, deadLetters: 0)
    }
}
