import Hummingbird
import Workflow

/// What requests for schedules and backfills have in common.
enum ObjectRequest {
    static func json(_ request: Request, example: String) async throws -> JSONValue {
        try parse(try await QueueRoutes.readBody(request), example)
    }

    /// An empty object when there is no body.
    static func optionalJSON(_ request: Request, example: String) async throws -> JSONValue {
        let body = try await QueueRoutes.readBody(request)
        return body.readableBytes == 0 ? .object([:]) : try parse(body, example)
    }

    private static func parse(_ body: ByteBuffer, _ example: String) throws(RequestError) -> JSONValue {
        do {
            return try JSONAnswer.parse(body)
        } catch {
            throw RequestError(
                .invalidJSON, "The body cannot be read as JSON", hint: "Send one JSON object, e.g. \(example)"
            )
        }
    }

    static func name(_ reader: ObjectReader) throws(RequestError) -> ObjectName {
        let text = try reader.requiredString("name", hint: ObjectName.form)
        return try name(text, reader)
    }

    static func name(_ text: String, _ reader: ObjectReader) throws(RequestError) -> ObjectName {
        guard let name = ObjectName(text) else {
            throw reader.invalid("name", text, "\(text.prefix(40)) is no name", hint: ObjectName.form)
        }
        return name
    }

    static func idempotencyKey(_ request: Request) throws(RequestError) -> String? {
        guard let key = request.header("Idempotency-Key") else { return nil }
        guard (1...StartQueue.idempotencyKeyCharactersMax).contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw RequestError(
                .invalidValue, "The Idempotency-Key is not valid", field: "Idempotency-Key",
                value: String(key.prefix(40)),
                hint:
                    "1 to \(StartQueue.idempotencyKeyCharactersMax) printable ASCII characters without blanks"
            )
        }
        return key
    }

    /// Reads `after`, the `next_after` of the page before.
    static func pageMark<Mark>(_ query: Query, _ read: (String) -> Mark?) throws(RequestError) -> Mark? {
        guard let text = query.text("after") else { return nil }
        guard let mark = read(text) else {
            throw RequestError(
                .invalidValue, "after is no page mark", field: "after", value: String(text.prefix(80)),
                hint: "Take next_after of the page before")
        }
        return mark
    }

    /// Puts the name of the field that holds a start request before the fields of its errors.
    static func inside<R>(_ field: String, _ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch var error as RequestError {
            if let inner = error.field, !inner.hasPrefix("\(field).") { error.field = "\(field).\(inner)" }
            throw error
        }
    }
}
