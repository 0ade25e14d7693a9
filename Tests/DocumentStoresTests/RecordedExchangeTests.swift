import Foundation
import HTTPBridge
import Testing

@testable import ArangoStandIn

/// Holds the stand-in to what a real server answered (`Fixtures/README.md`).
@Suite(.timeLimit(.minutes(2)))
struct RecordedExchangeTests {
    /// A recorded request and its answer.
    struct Exchange: Sendable, CustomTestStringConvertible {
        var id: String
        var request: JSON
        var response: JSON

        var testDescription: String { id }
        /// The exchanges of one example belong together, e.g. a cursor and its next batch.
        var example: String { id.split(separator: "/").first.map(String.init) ?? id }
    }

    /// The exchanges of one example of the documentation, in order.
    struct Example: Sendable, CustomTestStringConvertible {
        var name: String
        var exchanges: [Exchange]

        var testDescription: String { name }
    }

    @Test func `the fixture holds the examples it says`() throws {
        let examples = try Self.loadExamples()
        #expect(examples.flatMap(\.exchanges).count == 76)
        #expect(examples.count == Set(examples.map(\.name)).count)
    }

    @Test(arguments: try loadExamples())
    func `the stand-in answers as recorded`(example: Example) async throws {
        let server = StandInArangoDB()
        try await withStandIn(server) { url, _ in
            let player = ExchangePlayer(url: url, server: server)
            try await player.prepare(example)
            for exchange in example.exchanges { try await player.play(exchange) }
        }
    }

    static func loadExamples() throws -> [Example] {
        let file = try #require(
            Bundle.module.url(
                forResource: "arangodb-exchanges-3.12", withExtension: "jsonl", subdirectory: "Fixtures"))
        var examples: [Example] = []
        for line in try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")) {
            let value = try #require(JSON(parsing: line))
            let exchange = Exchange(
                id: try #require(value["id"]?.string), request: try #require(value["request"]),
                response: try #require(value["response"]))
            if examples.last?.name == exchange.example {
                examples[examples.count - 1].exchanges.append(exchange)
            } else {
                examples.append(Example(name: exchange.example, exchanges: [exchange]))
            }
        }
        return examples
    }
}
