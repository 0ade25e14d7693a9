import Foundation
import HTTPBridge
import Workflow

/// A request to the server; all of ours are harmless to repeat.
struct ArangoDBCall: Sendable {
    var method: HTTPRequest.Method
    /// From `/_api` on, percent-encoded.
    var path: String
    var query: [(name: String, value: String)] = []
    var headers: HTTPHeaders = [:]
    var body: [UInt8]?
    /// For errors, e.g. `import into btcusdt_api_candles_5m`.
    var operation: String

    init(_ method: HTTPRequest.Method, _ path: String, operation: String) {
        self.method = method
        self.path = path
        self.operation = operation
    }

    func query(_ name: String, _ value: String) -> ArangoDBCall {
        var copy = self
        copy.query.append((name, value))
        return copy
    }

    func json(_ value: some Encodable) throws(StoreError) -> ArangoDBCall {
        var copy = self
        do {
            copy.body = Array(try JSONEncoder().encode(value))
        } catch {
            throw StoreError(
                .invalid, operation: operation, detail: "the request cannot be encoded: \(error)")
        }
        return copy
    }
}

/// Sends calls to one database, signs them and repeats those that may succeed later.
struct ArangoDBConnection: Sendable {
    /// The longest answer: an import of 10,000 lines with a detail each is about 4 MB, a page of a scan more.
    private static let answerBytesMax = 256 << 20

    let settings: ArangoDBSettings
    private let client: HTTPClient
    private let authenticator: ArangoDBAuthenticator

    init(_ settings: ArangoDBSettings) {
        self.settings = settings
        client = HTTPClient(HTTPClient.Configuration(caFile: settings.caFile))
        authenticator = ArangoDBAuthenticator(settings, client)
    }

    /// - Parameter accepting: error numbers that are an answer to the caller, not an error.
    /// - Throws: ``StoreError``; `unavailable` when it still fails after the last try.
    func send(
        _ call: ArangoDBCall, accepting: Set<Int> = []
    ) async throws(StoreError) -> ArangoDBAnswer {
        var attempt = 1
        while true {
            let problem: StoreError
            do throws(StoreError) {
                let answer = try await sendOnce(call)
                // 1200 is a write conflict to repeat with 409, and a revision that moved on with 412.
                let isAccepted = !answer.isRetriable && answer.errorNumber.map(accepting.contains) == true
                if answer.isSuccess || isAccepted { return answer }
                problem = answer.error(call.operation)
            } catch { problem = error }
            guard problem.isRetriable, attempt < settings.retry.attemptMax, !Task.isCancelled else {
                throw problem
            }
            // Cancelled while waiting: the next try would throw it; this one's error says more.
            guard (try? await Task.sleep(for: settings.retry.pause(after: attempt))) != nil else {
                throw problem
            }
            attempt += 1
        }
    }

    /// One try within a time-out of its own, without signing in: for readiness.
    func probe(_ call: ArangoDBCall, timeout: Duration) async throws(StoreError) -> ArangoDBAnswer {
        var request = request(call, database: nil)
        request.timeouts = HTTPTimeouts(connect: timeout, whole: timeout, idle: nil)
        return ArangoDBAnswer(try await execute(request, call.operation))
    }

    func close() async { await client.close() }

    private func sendOnce(_ call: ArangoDBCall) async throws(StoreError) -> ArangoDBAnswer {
        var request = request(call, database: settings.database)
        let header = try await authorization(call)
        request.headers["Authorization"] = header
        let answer = ArangoDBAnswer(try await execute(request, call.operation))
        guard answer.response.status == 401, authenticator.forget(header) else { return answer }
        request.headers["Authorization"] = try await authorization(call)
        return ArangoDBAnswer(try await execute(request, call.operation))
    }

    private func authorization(_ call: ArangoDBCall) async throws(StoreError) -> String? {
        do throws(ArangoDBSignInFailure) {
            return try await authenticator.header()
        } catch {
            switch error {
            case .transport(let error): throw StoreError(error, operation: call.operation)
            case .refused(let answer): throw answer.error("sign in to ArangoDB to \(call.operation)")
            }
        }
    }

    private func execute(_ request: HTTPRequest, _ operation: String) async throws(StoreError) -> HTTPResponse
    {
        do throws(HTTPError) {
            return try await client.execute(request, bodyBytesMax: Self.answerBytesMax)
        } catch { throw StoreError(error, operation: operation) }
    }

    private func request(_ call: ArangoDBCall, database: String?) -> HTTPRequest {
        var url = settings.url
        if let database, !call.path.hasPrefix("/_db/") { url += "/_db/\(percentEncoded(database))" }
        url += call.path
        let query = call.query.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }
        if !query.isEmpty { url += "?" + query.joined(separator: "&") }
        var request = HTTPRequest(
            call.method, url, headers: call.headers, body: call.body, timeouts: settings.timeouts)
        if call.body != nil, request.headers["Content-Type"] == nil {
            request.headers["Content-Type"] = "application/json"
        }
        return request
    }
}

/// Keeps RFC 3986's unreserved characters.
func percentEncoded(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
        if byte.isASCIILetterOrDigit || "-._~".utf8.contains(byte) {
            encoded.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            encoded += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }
    return encoded
}

extension UInt8 {
    var isASCIILetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
