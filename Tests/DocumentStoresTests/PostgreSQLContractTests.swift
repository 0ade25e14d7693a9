import DocumentStores
import TestSupport
import Testing
import Workflow

@testable import ArangoStandIn

@Suite(.timeLimit(.minutes(5)))
struct PostgreSQLContractTests {
    @Test(arguments: DocumentStoreContract.all)
    func `keeps the contract`(contract: DocumentStoreContract) async throws {
        try await withPostgreSQLStore { store in try await contract.check(store, ContractNames()) }
    }

    @Test func `gives the same digest as ArangoDB for the same documents`() async throws {
        let collection = try ContractNames().collection()
        let candles = (0..<200).map { makeCandle("BTCUSDT", "5m", $0, close: "\($0).100") }
        let range = makeRange("BTCUSDT", "5m", 10...150)
        @Sendable func digest(_ store: some DocumentStore) async throws -> String {
            try await store.ensureCollection(collection, indexes: [candleIndex])
            try await store.write(candles.shuffled(), to: collection)
            let digest = try await store.digest(
                of: collection, range: range, shape: .candle, pageDocumentsMax: 50)
            #expect(digest.count == 141)
            return digest.sha256
        }
        let arango = try await withStandIn { url, _ in try await withArangoDB(url) { try await digest($0) } }
        let postgres = try await withPostgreSQLStore { try await digest($0) }
        #expect(arango == postgres)
    }

    private func withPostgreSQLStore<Value>(
        _ body: (PostgreSQLDocumentStore) async throws -> Value
    ) async throws -> Value {
        try await withPostgres { pool in
            let store = try await PostgreSQLDocumentStore.open(pool.configuration.currentURL())
            do {
                let value = try await body(store)
                await store.close()
                return value
            } catch {
                await store.close()
                throw error
            }
        }
    }
}
