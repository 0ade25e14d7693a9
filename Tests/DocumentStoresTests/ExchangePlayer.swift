import HTTPBridge
import Testing

@testable import ArangoStandIn

/// Plays recorded requests against the stand-in and compares the answers.
///
/// Ids, keys and revisions differ from server to server: those of the recording are translated to those the
/// stand-in gave, and compared by their kind only. All other members must be there, equal, and no others.
struct ExchangePlayer {
    typealias Exchange = RecordedExchangeTests.Exchange
    typealias Example = RecordedExchangeTests.Example

    let url: String
    let server: StandInArangoDB
    private let client = HTTPClient()

    init(url: String, server: StandInArangoDB) {
        self.url = url
        self.server = server
    }

    /// Compared by kind, not by value: made up by the server, or measured.
    private static let volatile: Set<String> = [
        "_key", "_id", "_rev", "_oldRev", "id", "objectId", "globallyUniqueId", "lastValue", "executionTime",
        "peakMemoryUsage", "selectivityEstimate",
    ]

    func play(_ exchange: Exchange) async throws {
        var request = HTTPRequest(
            try #require(HTTPRequest.Method(rawValue: exchange.request["method"]?.string ?? "")),
            url + (try await translatedPath(exchange)))
        for (name, value) in exchange.request["headers"]?.object ?? [:] {
            request.headers[name] = name == "if-none-match" ? try await currentETag(exchange) : value.string
        }
        switch exchange.request["body"] {
        case .string(let text): request.body = Array(text.utf8)
        case .null, nil: break
        case .some(let value): request.body = value.text
        }
        let response = try await client.execute(request)
        #expect(response.status == exchange.response["status"]?.int)
        for name in ["etag", "location", "x-arango-error-codes"] {
            let recorded = exchange.response["headers"]?[name]?.string
            #expect((response.headers[name] != nil) == (recorded != nil), "header \(name)")
            if name == "x-arango-error-codes" { #expect(response.headers[name] == recorded) }
        }
        guard let expected = exchange.response["body"], expected != .null else {
            #expect(response.body.isEmpty)
            return
        }
        let actual = try #require(JSON(parsing: response.body))
        compare(actual, expected, at: "body")
    }

    private func compare(_ actual: JSON, _ expected: JSON, at path: String) {
        switch (actual, expected) {
        case (.object(let actual), .object(let expected)):
            #expect(actual.keys.sorted() == expected.keys.sorted(), "\(path)")
            for (name, value) in expected {
                guard let found = actual[name] else { continue }
                let isIndexName = name == "name" && value.string?.hasPrefix("idx_") == true
                if Self.volatile.contains(name) || isIndexName {
                    #expect(found.kind == value.kind, "\(path).\(name)")
                } else {
                    compare(found, value, at: "\(path).\(name)")
                }
            }
        case (.array(let actual), .array(let expected)):
            #expect(actual.count == expected.count, "\(path)")
            for (index, pair) in zip(actual, expected).enumerated() {
                compare(pair.0, pair.1, at: "\(path)[\(index)]")
            }
        // An upper-case and a lower-case name of one collection are two; texts must be equal.
        default: #expect(actual == expected, "\(path)")
        }
    }

    /// The recorded path with the stand-in's id where a cursor or an index is named by it.
    private func translatedPath(_ exchange: Exchange) async throws -> String {
        let path = try #require(exchange.request["path"]?.string)
        let parts = path.split(separator: "/").map(String.init)
        if path.hasPrefix("/_api/cursor/"), parts[2] != "123123", let id = await server.cursors.keys.first {
            return path.replacing(parts[2], with: id)
        }
        if path.hasPrefix("/_api/index/"), parts[3] != "0" {
            let index = await server.databases["_system"]?.collections[parts[2]]?.indexes.last?["id"]?.string
            return "/_api/index/\(try #require(index))"
        }
        return path
    }

    private func currentETag(_ exchange: Exchange) async throws -> String {
        let path = try #require(exchange.request["path"]?.string)
        let response = try await client.execute(HTTPRequest(.head, url + path))
        return try #require(response.headers["etag"])
    }
}

extension JSON {
    /// Numbers are one kind.
    fileprivate var kind: Int {
        switch self {
        case .null: 0
        case .bool: 1
        case .int, .double: 2
        case .string: 3
        case .array: 4
        case .object: 5
        }
    }
}
