import Hummingbird
import Workflow

/// `/queues/{queue_id}/dead-letters` (docs/http-api.md).
package struct DeadLetterRoutes: Sendable {
    let store: DeadLetterStore
    let replay: DeadLetterReplay

    package func add(to router: Router<BasicRequestContext>) {
        let letters = router.group("queues/{queue_id}/dead-letters")
        letters.get { request, context in try await list(request, context) }
        letters.post("replay") { request, context in try await replayAll(request, context) }
        letters.get("{letter}") { _, context in try await show(context) }
        letters.post("{letter}/replay") { request, context in try await replayOne(request, context) }
        letters.post("{letter}/discard") { _, context in try await discard(context) }
    }

    private func list(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let id = try QueueRoutes.queueID(context)
        let query = try Query(request, known: ["state", "step", "after", "limit"])
        let filter = DeadLetterFilter(
            state: try query.word("state", DeadLetter.State.self), step: try Self.step(query.text("step")))
        let limit = try query.integer("limit", in: 1...DeadLetterStore.pageMax) ?? 50
        let after = try query.integer("after", in: 0...Int.max) ?? 0
        let page = try await store.letters(of: id, filter, after: Int64(after), limit: limit + 1)
        guard let page else { throw QueueRoutes.notFound(id.rawValue) }
        let letters = page.prefix(limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "dead_letters": .array(letters.map { DeadLetterAnswer.letter($0, isWhole: false) }),
                "next_after": page.count > limit ? letters.last.map { .integer($0.number) } ?? .null : .null,
            ]))
    }

    private func show(_ context: BasicRequestContext) async throws -> Response {
        let (id, number) = try Self.place(context)
        guard let letter = try await store.letter(number, of: id) else { throw Self.notFound(number, id) }
        return try JSONAnswer.response(.ok, DeadLetterAnswer.letter(letter, isWhole: true))
    }

    private func replayOne(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let (id, number) = try Self.place(context)
        let edited = try Self.editedValue(try await QueueRoutes.readOptionalJSON(request))
        let outcome = try await asking {
            try await replay.replay(number, of: id, edited: edited, actor: "api")
        }
        switch outcome {
        case .settledBefore(let letter) where letter.state == .replayed && edited == letter.editedValue:
            return try JSONAnswer.response(.ok, DeadLetterAnswer.letter(letter, isWhole: true))
        case .refused(let letter):
            throw RequestError(
                .invalidValue, "The record is still no document: \(letter.reason)", field: "value",
                value: edited.map { String(decoding: $0.prefix(80), as: UTF8.self) },
                hint: "Send {\"value\": {…}} with the record as it should be; the letter stays open")
        default: return try Self.answer(outcome, number, id)
        }
    }

    private func discard(_ context: BasicRequestContext) async throws -> Response {
        let (id, number) = try Self.place(context)
        let outcome = try await replay.discard(number, of: id, actor: "api")
        if case .settledBefore(let letter) = outcome, letter.state == .discarded {
            return try JSONAnswer.response(.ok, DeadLetterAnswer.letter(letter, isWhole: true))
        }
        return try Self.answer(outcome, number, id)
    }

    private func replayAll(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let id = try QueueRoutes.queueID(context)
        let query = try Query(request, known: ["step", "after"])
        let step = try Self.step(query.text("step"))
        let after = try query.integer("after", in: 0...Int.max) ?? 0
        let report = try await asking {
            try await replay.replayAll(of: id, step: step, after: Int64(after), actor: "api")
        }
        guard let report else { throw QueueRoutes.notFound(id.rawValue) }
        return try JSONAnswer.response(.ok, DeadLetterAnswer.bulk(report))
    }

    /// The document store's trouble as the API tells it.
    private func asking<R>(_ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch let error as StoreError {
            throw RequestError(
                .unavailable, "The document store could not take the record: \(error.code.rawValue)",
                hint: "The letter is as it was; \(error.operation): \(error.detail.prefix(200))")
        }
    }

    private static func answer(
        _ outcome: DeadLetterOutcome, _ number: Int64, _ id: QueueID
    ) throws -> Response {
        switch outcome {
        case .settled(let letter), .refused(let letter):
            return try JSONAnswer.response(.ok, DeadLetterAnswer.letter(letter, isWhole: true))
        case .unknown: throw notFound(number, id)
        case .busy:
            throw RequestError(
                .conflict, "Somebody else works on letter \(number) just now", field: "letter",
                value: String(number), hint: "Look at it again")
        case .settledBefore(let letter):
            throw RequestError(
                .conflict, "Letter \(number) was \(letter.state.rawValue) at \(letter.settledAt ?? "")",
                field: "letter", value: String(number),
                hint: "Only an open letter can be replayed or discarded")
        }
    }

    /// `{"value": …}`: an object is the record; a string is its text.
    private static func editedValue(_ body: JSONValue?) throws -> [UInt8]? {
        guard let body else { return nil }
        let reader = try ObjectReader(body, path: "", known: ["value"])
        switch reader.value("value") {
        case nil: return nil
        case .string(let text)?: return Array(text.utf8)
        case .object(let fields)?: return try MessageCodec.encode(JSONValue.object(fields))
        case let other?: throw reader.invalid("value", other, hint: "Give an object, or its text as a string")
        }
    }

    private static func step(_ text: String?) throws(RequestError) -> StepID? {
        guard let text else { return nil }
        guard let step = StepID(text) else {
            throw RequestError(
                .invalidValue, "step is not valid", field: "step", value: String(text.prefix(80)),
                hint: "1 to 32 of a-z 0-9 _ -")
        }
        return step
    }

    private static func place(_ context: BasicRequestContext) throws(RequestError) -> (QueueID, Int64) {
        let id = try QueueRoutes.queueID(context)
        let text = context.parameters.get("letter") ?? ""
        guard let number = Int64(text), number > 0 else {
            throw RequestError(
                .notFound, "There is no letter \(text.prefix(80))", field: "letter",
                value: String(text.prefix(80)), hint: "A number, as the list tells it")
        }
        return (id, number)
    }

    private static func notFound(_ number: Int64, _ id: QueueID) -> RequestError {
        RequestError(
            .notFound, "Queue \(id) has no letter \(number)", field: "letter", value: String(number),
            hint: "GET /queues/\(id)/dead-letters lists them; they are kept \(DeadLetter.keepDays) days")
    }
}
