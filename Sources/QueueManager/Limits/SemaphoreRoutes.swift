import Hummingbird
import Workflow

/// `/semaphores`: locks, semaphores and limits, who has them and who waits (docs/http-api.md).
struct SemaphoreRoutes: Sendable {
    let store: EngineStore
    let reconcile: Wakeups

    static let pageMax = 200
    private static let example = "{\"permits\":2}"

    func add(to router: Router<BasicRequestContext>) {
        let semaphores = router.group("semaphores")
        semaphores.get { request, _ in try await list(request) }
        semaphores.put("{name}") { request, context in try await put(request, context) }
        semaphores.delete("{name}") { _, context in try await delete(context) }
    }

    private func list(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["limit", "after"])
        let limit = try query.integer("limit", in: 1...Self.pageMax) ?? 50
        let rows = try await store.resources(after: query.text("after"), limit: limit + 1)
        let isMore = rows.count > limit
        return try JSONAnswer.response(
            .ok,
            .object([
                "semaphores": .array(rows.prefix(limit).map(ResourceAnswer.resource)),
                "next_after": isMore ? .string(rows[limit - 1].resource) : .null,
            ]))
    }

    private func put(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        let body = try await QueueRoutes.readJSON(request, example: Self.example)
        let reader = try ObjectReader(body, path: "", known: ["permits"])
        guard let permits = try reader.integer("permits", in: EngineStore.permitsRange) else {
            throw RequestError(
                .missingField, "permits is missing", field: "permits",
                hint: "How many instances may hold it, e.g. \(Self.example)")
        }
        let isNew = try await store.setSemaphore(name, permits: permits)
        reconcile.signal()
        return try JSONAnswer.response(
            isNew ? .created : .ok,
            .object(["name": .string(name.rawValue), "permits": .integer(Int64(permits))]))
    }

    private func delete(_ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        guard try await store.deleteSemaphore(name) else {
            throw RequestError(
                .notFound, "There is no semaphore \(name)", field: "name", value: name.rawValue,
                hint: "GET /semaphores lists them")
        }
        return try JSONAnswer.response(
            .ok,
            .object([
                "name": .string(name.rawValue), "permits": .integer(Int64(InstanceLimits.permitsDefault)),
            ]))
    }

    private static func name(_ context: BasicRequestContext) throws(RequestError) -> ResourceName {
        let text = context.parameters.get("name") ?? ""
        guard let name = ResourceName(text) else {
            throw RequestError(
                .invalidValue, "It is no name of a semaphore", field: "name", value: String(text.prefix(80)),
                hint: ResourceName.rules)
        }
        return name
    }
}

/// JSON shapes of resources.
enum ResourceAnswer {
    static func resource(_ row: ResourceRow) -> JSONValue {
        .object([
            "resource": .string(row.resource), "permits": row.permits.map { .integer(Int64($0)) } ?? .null,
            "held": .integer(Int64(row.held)), "waiting": .integer(Int64(row.waiting)),
            "holders": .array(row.holders.map(user)), "waiters": .array(row.waiters.map(user)),
        ])
    }

    static func waitingFor(_ wait: WaitingFor) -> JSONValue {
        .object([
            "resource": .string(wait.resource), "since": .string(wait.since),
            "held_by": .array(wait.heldBy.map(user)),
        ])
    }

    private static func user(_ user: ResourceUser) -> JSONValue {
        .object([
            "queue_id": .string(user.queueID.rawValue), "step": .string(user.id.step.rawValue),
            "instance": .string(user.id.instance), "since": .string(user.since),
        ])
    }
}
