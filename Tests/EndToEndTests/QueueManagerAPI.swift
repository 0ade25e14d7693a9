import Foundation
import HTTPBridge
import Testing
import Workflow

/// The queue-manager's REST API, as the tests need it.
struct QueueManagerAPI: Sendable {
    let base: String
    let http: HTTPClient

    /// Starts the short form of a request: load and store.
    ///
    /// - Returns: the queue's id.
    func start(_ symbols: [String], days: String) async throws -> String {
        try await start(
            .object([
                "symbols": .array(symbols.map { .string($0) }), "type": .string("api_candles_5m"),
                "time_range": .string(days),
            ]))
    }

    /// Starts whatever the body says.
    ///
    /// - Returns: the queue's id.
    func start(_ body: JSONValue) async throws -> String {
        let answer = try await http.execute(
            HTTPRequest(.post, "\(base)/queues/start", body: try MessageCodec.encode(body)))
        #expect(answer.status == 201, "\(String(decoding: answer.body, as: UTF8.self))")
        let queue = try MessageCodec.decode(JSONValue.self, from: answer.body)
        return try #require(queue["queue_id"]?.string)
    }

    /// What a start of this body would do.
    func validate(_ body: JSONValue) async throws -> JSONValue {
        let answer = try await http.execute(
            HTTPRequest(.post, "\(base)/queues/validate", body: try MessageCodec.encode(body)))
        #expect(answer.status == 200)
        return try MessageCodec.decode(JSONValue.self, from: answer.body)
    }

    func queueCount() async throws -> Int {
        let answer = try await http.execute(HTTPRequest(.get, "\(base)/queues"))
        return try MessageCodec.decode(JSONValue.self, from: answer.body)["queues"]?.items.count ?? -1
    }

    /// Asks for `pause`, `resume`, `stop` or `terminate`.
    func ask(_ action: String, of id: String) async throws {
        let answer = try await http.execute(HTTPRequest(.post, "\(base)/queues/\(id)/\(action)"))
        #expect(answer.status == 202)
    }

    /// nil while the queue-manager does not answer.
    func queue(_ id: String) async throws -> JSONValue? {
        let request = HTTPRequest(.get, "\(base)/queues/\(id)", timeouts: HTTPTimeouts(whole: .seconds(5)))
        do {
            let answer = try await http.execute(request)
            return answer.status == 200 ? try MessageCodec.decode(JSONValue.self, from: answer.body) : nil
        } catch let error as HTTPError where error.isRetriable {
            return nil
        }
    }

    /// Looks at a queue until `condition` holds.
    ///
    /// - Throws: ``TimeLimitError`` with the last answer.
    func wait(
        for id: String, limit: Duration = .seconds(90), until condition: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let deadline = ContinuousClock.now + limit
        var last: JSONValue?
        while ContinuousClock.now < deadline {
            last = try await queue(id) ?? last
            if let last, condition(last) { return last }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TimeLimitError(last: last)
    }

    func waitUntilFinal(_ id: String) async throws -> JSONValue {
        try await wait(for: id) { ["finished", "failed", "stopped"].contains($0["status"]?.string) }
    }
}

struct TimeLimitError: Error {
    var last: JSONValue?
}

extension JSONValue {
    subscript(_ name: String) -> JSONValue? {
        if case .object(let fields) = self { fields[name] } else { nil }
    }

    var items: [JSONValue] {
        if case .array(let items) = self { items } else { [] }
    }

    /// All instances in the answer of `GET /queues/{id}`.
    var instances: [JSONValue] { (self["steps"]?.items ?? []).flatMap { $0["instances"]?.items ?? [] } }

    /// The instance of a step in the answer of `GET /queues/{id}`.
    func instance(_ step: String, _ symbol: String) -> JSONValue? {
        self["steps"]?.items.first { $0["id"]?.string == step }?["instances"]?.items
            .first { $0["instance"]?.string == symbol }
    }
}
