import Foundation
import HTTPBridge
import MarketData
import ReplayExchange
import Synchronization
import Testing

/// Recordings loaded once for many tests: reading them takes longer than most tests.
private let loading = Mutex<[Set<Symbol>: Task<Market, any Error>]>([:])

/// The sample's recordings of `symbols`.
func sampleMarket(_ symbols: Set<Symbol>) async throws -> Market {
    let task = loading.withLock { loading in
        if let known = loading[symbols] { return known }
        var options = ReplayOptions()
        options.symbols = symbols
        // Unstructured: tests that run at once wait for the same load, and one that is cancelled must not take it
        // from the others.
        let task = Task { [options] in try await ReplayExchange.load(options) }
        loading[symbols] = task
        return task
    }
    return try await task.value
}

/// One exchange on a free port, and a client for it.
struct ExchangeFixture: Sendable {
    let exchange: ReplayExchange.Running
    let http: HTTPClient

    /// Runs `body` against an exchange with the sample's BTCUSDT unless `change` says otherwise.
    static func run(
        _ change: (inout ReplayOptions) -> Void = { _ in },
        _ body: @Sendable (ExchangeFixture) async throws -> Void
    ) async throws {
        var options = ReplayOptions()
        options.symbols = try [#require(Symbol("BTCUSDT"))]
        change(&options)
        var market: Market?
        if options.dataDirectory == nil, options.synthetic.isEmpty, let symbols = options.symbols {
            market = try await sampleMarket(symbols)
        }
        let http = HTTPClient()
        try await ReplayExchange.withServer(options, market: market) { exchange in
            try await body(ExchangeFixture(exchange: exchange, http: http))
        }
        await http.close()
    }

    func get(_ path: String, headers: HTTPHeaders = [:]) async throws -> HTTPResponse {
        try await http.execute(HTTPRequest(.get, exchange.baseURL + path, headers: headers))
    }

    func post(_ path: String, _ body: String) async throws -> HTTPResponse {
        try await http.execute(HTTPRequest(.post, exchange.baseURL + path, body: Array(body.utf8)))
    }

    /// The rows of a kline answer; fails the test when it is anything else.
    func klines(_ query: String) async throws -> [[JSONValue]] {
        let response = try await get("/api/v3/klines?\(query)")
        #expect(response.status == 200)
        return try JSONDecoder().decode([[JSONValue]].self, from: Data(response.body))
    }

    /// The objects of a trade answer.
    func objects(_ path: String) async throws -> [[String: JSONValue]] {
        let response = try await get(path)
        #expect(response.status == 200)
        return try JSONDecoder().decode([[String: JSONValue]].self, from: Data(response.body))
    }
}

/// JSON as it was sent: a number is kept apart from a text.
enum JSONValue: Decodable, Hashable, Sendable {
    case text(String)
    case number(Int64)
    case boolean(Bool)
    case other

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        // Most values are texts; every guess that fails costs an error.
        if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let number = try? value.decode(Int64.self) {
            self = .number(number)
        } else if let boolean = try? value.decode(Bool.self) {
            self = .boolean(boolean)
        } else {
            self = .other
        }
    }

    var number: Int64? { if case .number(let number) = self { number } else { nil } }
    var text: String? { if case .text(let text) = self { text } else { nil } }

    /// The kind of value, with the number of places of a decimal: `"0.01"` is `decimal 2`.
    var kind: String {
        switch self {
        case .number: return "number"
        case .boolean: return "boolean"
        case .other: return "other"
        case .text(let text):
            let parts = text.split(separator: ".")
            guard parts.count == 2, parts.allSatisfy({ Int64($0) != nil }) else { return "text" }
            return "decimal \(parts[1].count)"
        }
    }
}

/// A recorded answer of the exchange.
func recorded<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: nil, subdirectory: "Fixtures"))
    return try JSONDecoder().decode(type, from: Data(contentsOf: url))
}
