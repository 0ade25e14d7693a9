import DocumentStores
import Foundation
import Testing
import Workflow

@testable import ArangoStandIn

@Suite(.timeLimit(.minutes(5)))
struct ArangoDBContractTests {
    @Test(arguments: DocumentStoreContract.all)
    func `keeps the contract on the stand-in`(contract: DocumentStoreContract) async throws {
        try await withStandIn(StandInArangoDB(password: "geheim")) { url, _ in
            try await withArangoDB(url) { store in try await contract.check(store, ContractNames()) }
        }
    }

    @Test(.enabled(if: realServer != nil, "ARANGO_URL is not set"), arguments: DocumentStoreContract.all)
    func `keeps the contract on a real server`(contract: DocumentStoreContract) async throws {
        let store = ArangoDBDocumentStore(try #require(Self.realServer))
        do {
            try await contract.check(store, ContractNames())
            await store.close()
        } catch {
            await store.close()
            throw error
        }
    }

    /// From ARANGO_URL, ARANGO_DB, ARANGO_USER and ARANGO_PASSWORD.
    private static var realServer: ArangoDBSettings? {
        let environment = ProcessInfo.processInfo.environment
        guard let url = environment["ARANGO_URL"], !url.isEmpty else { return nil }
        let credentials = ArangoDBCredentials(
            user: environment["ARANGO_USER"] ?? "root", password: environment["ARANGO_PASSWORD"] ?? "")
        return ArangoDBSettings(
            url: url, database: environment["ARANGO_DB"] ?? "streamforge_test",
            authentication: .token { credentials }, createsDatabase: true)
    }
}

/// A store on a stand-in whose `root` has the password `geheim`, with short pauses between tries.
func withArangoDB<Value>(
    _ url: String, authentication: ArangoDBSettings.Authentication = .token(standInCredentials),
    _ body: (ArangoDBDocumentStore) async throws -> Value
) async throws -> Value {
    var settings = ArangoDBSettings(
        url: url, database: "streamforge", authentication: authentication, createsDatabase: true)
    settings.retry.backoffInitial = .milliseconds(1)
    settings.retry.backoffMax = .milliseconds(10)
    let store = ArangoDBDocumentStore(settings)
    do {
        let value = try await body(store)
        await store.close()
        return value
    } catch {
        await store.close()
        throw error
    }
}

@Sendable func standInCredentials() -> ArangoDBCredentials {
    ArangoDBCredentials(user: "root", password: "geheim")
}
