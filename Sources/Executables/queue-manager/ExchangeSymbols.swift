import HTTPBridge
import MarketData
import QueueManager
import Workflow

/// Asks the exchange which symbols it knows (`GET /api/v3/exchangeInfo`, weight 20 a request).
struct ExchangeSymbols: Sendable {
    let client: HTTPClient
    let baseURL: String

    /// Symbols in one request: keeps the URL well below 4 KiB.
    private static let symbolsMax = 100
    private static let unknownSymbol: Int64 = -1_121
    /// The exchange's full answer is some 20 MB.
    private static let bodyBytesMax = 32 << 20

    var catalog: SymbolCatalog {
        SymbolCatalog { symbols in
            var unknown: [Symbol] = []
            for start in stride(from: 0, to: symbols.count, by: Self.symbolsMax) {
                unknown += try await unknownAmong(
                    Array(symbols[start..<min(start + Self.symbolsMax, symbols.count)]))
            }
            return SymbolCatalog.Answer(unknown: unknown, serverTime: try await serverTime())
        }
    }

    /// One unknown symbol fails the whole request without being named, so halves are asked until it is found.
    private func unknownAmong(_ symbols: [Symbol]) async throws -> [Symbol] {
        let list = symbols.map { "%22\($0)%22" }.joined(separator: "%2C")
        let response = try await get("/api/v3/exchangeInfo?symbols=%5B\(list)%5D")
        if response.status == 200 { return [] }
        guard response.status == 400, try code(of: response) == Self.unknownSymbol else {
            throw ExchangeAnswer(response)
        }
        guard symbols.count > 1 else { return symbols }
        let half = symbols.count / 2
        let first = try await unknownAmong(Array(symbols[..<half]))
        // One wrong symbol is enough to refuse the request.
        return first.isEmpty ? try await unknownAmong(Array(symbols[half...])) : first
    }

    private func serverTime() async throws -> Int64 {
        let response = try await get("/api/v3/time")
        guard response.status == 200,
            case .object(let fields) = try MessageCodec.decode(JSONValue.self, from: response.body),
            let time = fields["serverTime"]?.integer
        else { throw ExchangeAnswer(response) }
        return time
    }

    private func get(_ path: String) async throws -> HTTPResponse {
        let timeouts = HTTPTimeouts(connect: .seconds(3), whole: .seconds(10), idle: .seconds(10))
        return try await client.execute(
            HTTPRequest(.get, baseURL + path, timeouts: timeouts, acceptsGzip: true),
            bodyBytesMax: Self.bodyBytesMax)
    }

    private func code(of response: HTTPResponse) throws -> Int64? {
        guard case .object(let fields) = try MessageCodec.decode(JSONValue.self, from: response.body) else {
            return nil
        }
        return fields["code"]?.integer
    }
}

/// An answer of the exchange that is of no use.
struct ExchangeAnswer: Error, CustomStringConvertible {
    var status: Int
    var body: String

    init(_ response: HTTPResponse) {
        status = response.status
        body = String(decoding: response.body.prefix(200), as: UTF8.self)
    }

    var description: String { "it answered \(status): \(body)" }
}
