import Hummingbird
import Workflow

/// The REST API of schedules (docs/http-api.md).
package struct ScheduleRoutes: Sendable {
    let store: ScheduleStore
    let starter: QueueStarter
    let wakeups: Wakeups
    let observe: ScheduleObserver

    static let nextFireTimes = 5
    static let firingsShown = 20
    static let reasonCharactersMax = 500

    package func add(to router: Router<BasicRequestContext>) {
        let schedules = router.group("schedules")
        schedules.post { request, _ in try await create(request) }
        schedules.get { request, _ in try await list(request) }
        schedules.get("{name}") { _, context in try await show(context) }
        schedules.put("{name}") { request, context in try await put(request, context) }
        schedules.delete("{name}") { _, context in try await delete(context) }
        schedules.post("{name}/pause") { request, context in try await pause(request, context) }
        schedules.post("{name}/resume") { _, context in try await resume(context) }
        schedules.post("{name}/trigger") { request, context in try await trigger(request, context) }
        schedules.get("{name}/firings") { request, context in try await firings(request, context) }
    }

    private func create(_ request: Request) async throws -> Response {
        let body = try await ObjectRequest.json(request, example: Self.example)
        let reader = try ObjectReader(body, path: "", known: ["name"] + ScheduleSpec.fields)
        let name = try ObjectRequest.name(reader)
        let spec = try await check(ScheduleSpec(reader), of: name)
        guard try await store.create(name, spec) else {
            throw RequestError(
                .conflict, "There is a schedule \(name) already", field: "name", value: name.rawValue,
                hint: "PUT /schedules/\(name) replaces it")
        }
        return try await changed(name, "created", .created)
    }

    private func put(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let body = try await ObjectRequest.json(request, example: Self.example)
        let reader = try ObjectReader(body, path: "", known: ["name"] + ScheduleSpec.fields)
        let text = context.parameters.get("name") ?? ""
        guard let name = ObjectName(text) else {
            throw reader.invalid("name", text, "It is no name of a schedule", hint: ObjectName.form)
        }
        if let own = try reader.string("name"), own != name.rawValue {
            throw reader.invalid("name", own, "It is not the name in the path", hint: "Leave it out")
        }
        let spec = try await check(ScheduleSpec(reader), of: name)
        switch try await store.put(name, spec) {
        case .created: return try await changed(name, "created", .created)
        case .replaced: return try await changed(name, "replaced", .ok)
        case .unchanged: return try JSONAnswer.response(.ok, try await answer(name))
        }
    }

    /// Builds the plan of the first firing, so that a mistake is told now and not at night.
    private func check(_ spec: ScheduleSpec, of name: ObjectName) async throws -> ScheduleSpec {
        let now = try await store.now() / 1_000
        guard let next = spec.next(after: now) else {
            throw RequestError(
                .invalidValue, "The schedule never fires: until is over before its next fire time",
                field: "until", value: spec.until.map(UTCText.seconds),
                hint: "Give a time after \(UTCText.seconds(spec.cron.next(after: now, in: spec.zone) ?? now))"
            )
        }
        _ = try await ObjectRequest.inside("request") {
            try await starter.plan(try spec.body(of: name, firedFor: next))
        }
        return spec
    }

    private func list(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["limit", "after"])
        let limit = try query.integer("limit", in: 1...ScheduleStore.pageMax) ?? 50
        let after = try ObjectRequest.pageMark(query) { ObjectName($0) }
        let rows = try await store.schedules(after: after, limit: limit + 1)
        let page = rows.prefix(limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "schedules": .array(page.map { .object(ScheduleAnswer.summary($0)) }),
                "next_after": rows.count > limit ? .string(page.last?.name.rawValue ?? "") : .null,
            ]))
    }

    private func show(_ context: BasicRequestContext) async throws -> Response {
        try JSONAnswer.response(.ok, try await answer(try Self.name(context)))
    }

    private func firings(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        let query = try Query(request, known: ["limit", "after"])
        let limit = try query.integer("limit", in: 1...ScheduleStore.pageMax) ?? 50
        let after = try ObjectRequest.pageMark(query) { Int64($0) }
        guard try await store.schedule(name) != nil else { throw Self.notFound(name.rawValue) }
        let rows = try await store.firings(of: name, before: after, limit: limit + 1)
        let page = rows.prefix(limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "firings": .array(page.map(ScheduleAnswer.firing)),
                "next_after": rows.count > limit ? .string("\(page.last?.number ?? 0)") : .null,
            ]))
    }

    private func pause(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        let body = try await ObjectRequest.optionalJSON(
            request, example: "{\"reason\":\"the exchange moves\"}")
        let reason = try ObjectReader(body, path: "", known: ["reason"]).string("reason")
        if let reason, reason.count > Self.reasonCharactersMax {
            throw RequestError(
                .invalidValue, "reason is too long", field: "reason", value: String(reason.prefix(80)),
                hint: "At most \(Self.reasonCharactersMax) characters")
        }
        guard try await store.pause(name, reason: reason) else { throw Self.notFound(name.rawValue) }
        return try await changed(name, "paused", .ok)
    }

    private func resume(_ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        guard try await store.resume(name) else { throw Self.notFound(name.rawValue) }
        return try await changed(name, "resumed", .ok)
    }

    private func trigger(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        let key = try ObjectRequest.idempotencyKey(request)
        guard let firing = try await store.trigger(name, key: key) else {
            throw Self.notFound(name.rawValue)
        }
        wakeups.signal()
        observe(.scheduleChanged(name, change: "triggered"))
        return try JSONAnswer.response(.accepted, ScheduleAnswer.firing(firing))
    }

    private func delete(_ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        guard try await store.delete(name) else { throw Self.notFound(name.rawValue) }
        observe(.scheduleChanged(name, change: "deleted"))
        return try JSONAnswer.response(
            .ok, .object(["name": .string(name.rawValue), "deleted": .bool(true)]))
    }

    private func changed(
        _ name: ObjectName, _ change: String, _ status: HTTPResponse.Status
    ) async throws -> Response {
        wakeups.signal()
        observe(.scheduleChanged(name, change: change))
        return try JSONAnswer.response(
            status, try await answer(name), headers: [.location: "/schedules/\(name)"])
    }

    private func answer(_ name: ObjectName) async throws -> JSONValue {
        guard let row = try await store.schedule(name) else { throw Self.notFound(name.rawValue) }
        let firings = try await store.firings(of: name, before: nil, limit: Self.firingsShown)
        return ScheduleAnswer.whole(row, firings, nextFireTimes: row.nextFireTimes(Self.nextFireTimes))
    }

    private static let example =
        "{\"name\":\"nightly\",\"cron\":\"30 2 * * *\",\"time_zone\":\"Europe/Berlin\",\"request\":"
        + "{\"symbol\":\"BTCUSDT\",\"type\":\"api_candles_5m\","
        + "\"time_range\":\"${schedule.day-1}:${schedule.day-1}\"}}"

    private static func name(_ context: BasicRequestContext) throws(RequestError) -> ObjectName {
        let text = context.parameters.get("name") ?? ""
        guard let name = ObjectName(text) else { throw notFound(text) }
        return name
    }

    private static func notFound(_ name: String) -> RequestError {
        RequestError(
            .notFound, "There is no schedule \(name.prefix(80))", field: "name",
            value: String(name.prefix(80)),
            hint: "GET /schedules lists them")
    }
}
