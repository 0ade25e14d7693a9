import Hummingbird
import ServiceRuntime
import Workflow

/// The REST API of the queue-manager (docs/http-api.md).
package struct QueueRoutes: Sendable {
    let store: EngineStore
    let start: StartQueue
    let reconcile: Wakeups
    let feed: EventFeed
    let ends: QueueEnds
    /// For what `validate` tells ahead.
    let cost: ExchangeCost

    package static let bodyBytesMax = 1 << 20
    /// A request may wait this long for the end of a queue.
    package static let waitSecondsMax = 60

    package func add(to router: Router<BasicRequestContext>) {
        let queues = router.group("queues")
        queues.post("start") { request, _ in try await startQueue(request) }
        queues.post("validate") { request, _ in try await validate(request) }
        queues.get { request, _ in try await list(request) }
        queues.get("{queue_id}") { request, context in try await show(request, context) }
        for action in QueueRequest.allCases {
            queues.post("{queue_id}/\(action.rawValue)") { _, context in try await ask(action, context) }
        }
        queues.get("{queue_id}/events") { request, context in try await events(request, context) }
    }

    private func startQueue(_ request: Request) async throws -> Response {
        let json = try await Self.readJSON(request)
        let traceparent = request.header("traceparent").flatMap { Traceparent($0)?.description }
        let result = try await start(
            body: json, idempotencyKey: request.header("Idempotency-Key"), traceparent: traceparent)
        let (queue, instances) = try await answer(to: result)
        return try JSONAnswer.response(
            result.isNew ? .created : .ok, QueueAnswer.queue(queue, instances),
            headers: [.location: "/queues/\(result.queueID)"])
    }

    /// What was just written needs no reading.
    private func answer(to result: StartQueue.Result) async throws -> (QueueRow, [InstanceRow]) {
        if let (new, time) = result.created {
            let instances = new.plan.instances.map { InstanceRow($0, new.plan) }
            return (QueueRow(new, createdAt: time), instances)
        }
        guard let (queue, instances) = try await store.queue(result.queueID) else {
            throw RequestError(.notFound, "The queue \(result.queueID) is gone")
        }
        return (queue, instances)
    }

    private func validate(_ request: Request) async throws -> Response {
        let validation = try await start.validate(body: try await Self.readJSON(request))
        return try JSONAnswer.response(.ok, PlanAnswer.json(validation, cost))
    }

    private static let startExample =
        "{\"symbol\":\"BTCUSDT\",\"type\":\"api_candles_5m\",\"time_range\":\"2024-08-01:2024-08-07\"}"

    static func readJSON(_ request: Request, example: String = startExample) async throws -> JSONValue {
        try parse(try await readBody(request), example: example)
    }

    /// nil when the body is empty.
    static func readOptionalJSON(_ request: Request) async throws -> JSONValue? {
        let body = try await readBody(request)
        return body.readableBytes == 0 ? nil : try parse(body, example: "{}")
    }

    private static func parse(_ body: ByteBuffer, example: String) throws(RequestError) -> JSONValue {
        do {
            return try JSONAnswer.parse(body)
        } catch {
            throw RequestError(
                .invalidJSON, "The body cannot be read as JSON",
                hint: "Send one JSON object, e.g. \(example)")
        }
    }

    private func list(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["status", "symbol", "limit", "after"])
        let status = try query.word("status", QueueStatus.self)
        let limit = try query.integer("limit", in: 1...EngineStore.pageMax) ?? 50
        let cursor = try query.text("after").map { text throws(RequestError) in
            guard let cursor = QueueCursor(text) else {
                throw RequestError(
                    .invalidValue, "after is no page mark", field: "after", value: String(text.prefix(80)),
                    hint: "Take next_after of the page before")
            }
            return cursor
        }
        let page = try await store.queues(
            status: status, symbol: query.text("symbol"), after: cursor, limit: limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "queues": .array(page.rows.map(QueueAnswer.summary)),
                "next_after": page.next.map { .string($0.text) } ?? .null,
            ]))
    }

    private func show(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let id = try Self.queueID(context)
        let query = try Query(request, known: ["wait_seconds"])
        if let seconds = try query.integer("wait_seconds", in: 0...Self.waitSecondsMax) {
            try await ends.wait(for: id, atMost: .seconds(seconds)) {
                try await store.status(of: id)?.isFinal ?? true
            }
        }
        guard let (queue, instances) = try await store.queue(id) else { throw Self.notFound(id.rawValue) }
        let waits = try await store.waits(of: queue)
        return try JSONAnswer.response(.ok, QueueAnswer.queue(queue, instances, waits: waits))
    }

    private func ask(_ action: QueueRequest, _ context: BasicRequestContext) async throws -> Response {
        let id = try Self.queueID(context)
        func answer(_ code: HTTPResponse.Status, _ status: QueueStatus) throws -> Response {
            try JSONAnswer.response(
                code, .object(["queue_id": .string(id.rawValue), "status": .string(status.rawValue)]))
        }
        switch try await store.request(action, of: id, actor: "api") {
        case .unknownQueue: throw Self.notFound(id.rawValue)
        case .met(let status): return try answer(.ok, status)
        case .accepted(let status):
            reconcile.signal()
            return try answer(.accepted, status)
        case .refused(let status):
            throw RequestError(
                .conflict, "A queue that is \(status.rawValue) cannot \(action.rawValue)", field: "queue_id",
                value: id.rawValue, hint: "GET /queues/\(id) tells its state")
        }
    }

    private func events(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let id = try Self.queueID(context)
        let query = try Query(request, known: ["after", "limit"])
        // A browser that reconnects says where it was in Last-Event-ID.
        let resumed = request.header("Last-Event-ID").flatMap { Int64($0) }
        let after = try query.integer("after", in: 0...Int.max).map(Int64.init) ?? resumed ?? 0
        let limit = try query.integer("limit", in: 1...1_000) ?? 200
        guard let page = try await store.events(of: id, after: after, limit: limit) else {
            throw Self.notFound(id.rawValue)
        }
        if request.headers[.accept]?.contains("text/event-stream") == true {
            return feed.response(of: id, after: after)
        }
        let isMore = page.events.count == limit
        return try JSONAnswer.response(
            .ok,
            .object([
                "events": .array(page.events.map(QueueAnswer.event)),
                "next_after": isMore ? .integer(page.events[limit - 1].number) : .null,
            ]))
    }

    static func readBody(_ request: Request) async throws -> ByteBuffer {
        var body = ByteBuffer()
        for try await part in request.body {
            guard body.readableBytes + part.readableBytes <= bodyBytesMax else {
                throw RequestError(
                    .tooLarge, "The body is larger than \(bodyBytesMax) bytes", hint: "Split the request")
            }
            body.writeImmutableBuffer(part)
        }
        return body
    }

    static func queueID(_ context: BasicRequestContext) throws(RequestError) -> QueueID {
        let text = context.parameters.get("queue_id") ?? ""
        guard let id = QueueID(text) else { throw notFound(text) }
        return id
    }

    static func notFound(_ id: String) -> RequestError {
        RequestError(
            .notFound, "There is no queue \(id.prefix(80))", field: "queue_id", value: String(id.prefix(80)),
            hint: "GET /queues lists them")
    }
}
