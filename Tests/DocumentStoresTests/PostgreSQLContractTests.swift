import DocumentStores
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct PostgreSQLContractTests {
    @Test(arguments: DocumentStoreContract.all)
    func `keeps the contract`(contract: DocumentStoreContract) async throws {
        try await withPostgres { pool in
            let store = try await PostgreSQLDocumentStore.open(pool.configuration.url)
            do {
                try await contract.check(store, ContractNames())
                await store.close()
            } catch {
                await store.close()
                throw error
            }
        }
    }
}
