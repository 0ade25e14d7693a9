import HTTPTypes
import Hummingbird
import Workflow

/// Requests and answers as JSON.
enum JSONAnswer {
    static func response(
        _ status: HTTPResponse.Status, _ value: JSONValue, headers: HTTPFields = [:]
    ) throws -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        headers[.cacheControl] = "no-store"
        let bytes = try MessageCodec.encode(value) + [UInt8(ascii: "\n")]
        return Response(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func parse(_ body: ByteBuffer) throws(MessageError) -> JSONValue {
        try MessageCodec.decode(
            JSONValue.self, from: Array(body.readableBytesView), bytesMax: QueueRoutes.bodyBytesMax)
    }

    static func error(_ error: RequestError) -> Response {
        let text = { (value: String?) -> JSONValue in value.map { .string($0) } ?? .null }
        let body = JSONValue.object([
            "error": .object([
                "code": .string(error.code.rawValue), "message": .string(error.message),
                "field": text(error.field),
                "value": text(error.value), "hint": text(error.hint),
            ])
        ])
        var headers = HTTPFields()
        if error.code == .unavailable || error.code == .rateLimited { headers[.retryAfter] = "5" }
        // Strings only: encoding cannot fail.
        return (try? response(error.code.status, body, headers: headers))
            ?? Response(status: .internalServerError)
    }
}

extension RequestError.Code {
    var status: HTTPResponse.Status {
        switch self {
        case .invalidJSON, .unknownField, .missingField, .invalidValue, .cycle: .badRequest
        case .notFound: .notFound
        case .conflict, .idempotencyMismatch: .conflict
        case .tooLarge: .contentTooLarge
        case .rateLimited: .tooManyRequests
        case .unavailable: .serviceUnavailable
        }
    }
}

/// Query parameters, each once and known.
struct Query {
    private var values: [String: String] = [:]

    init(_ request: Request, known: [String]) throws(RequestError) {
        for (name, value) in request.uri.queryParameters {
            let name = String(name)
            guard known.contains(name) else {
                throw RequestError(
                    .unknownField, "There is no parameter \(name.prefix(80))", field: String(name.prefix(80)),
                    hint: "Known here: \(known.joined(separator: ", "))")
            }
            guard values.updateValue(String(value), forKey: name) == nil else {
                throw RequestError(.invalidValue, "\(name) is there twice", field: name, hint: "Give it once")
            }
        }
    }

    func text(_ name: String) -> String? { values[name] }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(RequestError) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw RequestError(
                .invalidValue, "\(name) is not valid", field: name, value: String(text.prefix(80)),
                hint: "A whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func word<Word: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Word.Type
    ) throws(RequestError) -> Word? where Word.RawValue == String {
        guard let text = values[name] else { return nil }
        guard let word = Word(rawValue: text) else {
            throw RequestError(
                .invalidValue, "\(name) is not valid", field: name, value: String(text.prefix(80)),
                hint: "One of \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return word
    }
}

extension Request {
    /// The value of a header field by name; nil when it is absent.
    func header(_ name: String) -> String? {
        HTTPField.Name(name).flatMap { headers[$0] }
    }
}
