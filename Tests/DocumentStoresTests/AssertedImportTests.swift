import Foundation
import HTTPBridge
import Testing

@testable import ArangoStandIn

/// Holds the stand-in's bulk import to what the server's own tests assert (`Fixtures/README.md`).
@Suite(.timeLimit(.minutes(1)))
struct AssertedImportTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var number: Int
        var before: [JSON]
        var path: String
        var body: String
        var counters: [String: JSON]
        /// Those the server's tests look at; empty where they count only.
        var after: [JSON]

        var testDescription: String { "\(number): \(path)" }
    }

    @Test func `the fixture holds the cases it says`() throws {
        #expect(try Self.loadCases().count == 12)
    }

    @Test(arguments: try loadCases())
    func `duplicates are counted and stored as asserted`(given: Case) async throws {
        let server = StandInArangoDB()
        try await withStandIn(server) { url, _ in
            let client = HTTPClient()
            let collection = "UnitTestsImport"
            try await post("/_api/collection", #"{"name":"\#(collection)"}"#, url, client, status: 200)
            for document in given.before {
                let text = String(decoding: document.text, as: UTF8.self)
                try await post("/_api/document/\(collection)", text, url, client, status: 202)
            }
            let status = try #require(given.counters["status"]?.int)
            let answer = try await post(given.path, given.body, url, client, status: status)
            for (name, expected) in given.counters where name != "status" {
                #expect(answer[name] == expected, "\(name)")
            }
            let stored = try #require(await server.databases["_system"]?.collections[collection]?.documents)
            for expected in given.after {
                let key = try #require(expected["_key"]?.string)
                let attributes = stored[key]?.filter { !$0.key.hasPrefix("_") || $0.key == "_key" }
                #expect(attributes == expected.object, "document \(key)")
            }
            let created = try #require(given.counters["created"]?.int)
            #expect(stored.count == given.before.count + created)
        }
    }

    @discardableResult
    private func post(
        _ path: String, _ body: String, _ url: String, _ client: HTTPClient, status: Int
    ) async throws -> JSON {
        var request = HTTPRequest(.post, url + path)
        request.body = Array(body.utf8)
        let response = try await client.execute(request)
        #expect(response.status == status, "\(path)")
        return try #require(JSON(parsing: response.body))
    }

    static func loadCases() throws -> [Case] {
        let file = try #require(
            Bundle.module.url(
                forResource: "arangodb-onduplicate-asserted", withExtension: "jsonl", subdirectory: "Fixtures"
            ))
        return try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")).enumerated().map {
            number, line in
            let value = try #require(JSON(parsing: line))
            return Case(
                number: number + 1, before: try #require(value["collection_before"]?.array),
                path: try #require(value["request"]?["path"]?.string),
                body: try #require(value["request"]?["body"]?.string),
                counters: try #require(value["asserted"]?.object),
                after: value["documents_after"]?.array ?? [])
        }
    }
}
