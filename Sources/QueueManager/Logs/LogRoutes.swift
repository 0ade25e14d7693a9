import HTTPTypes
import Hummingbird
import Workflow

/// `GET /queues/{queue_id}/instances/{instance}/log` (docs/http-api.md).
struct LogRoutes: Sendable {
    let store: EngineStore
    let logs: any LogStore
    let launcher: any JobLauncher

    func add(to router: Router<BasicRequestContext>) {
        router.get("queues/{queue_id}/instances/{instance}/log") { request, context in
            try await log(request, context)
        }
    }

    private func log(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let id = try QueueRoutes.queueID(context)
        let query = try Query(request, known: ["step", "attempt"])
        // Instances are named of A-Z a-z 0-9 and -: nothing that a path would encode.
        let instance = context.parameters.get("instance") ?? ""
        let attempt = try await attempt(
            of: instance, in: id, step: try Self.step(query.text("step")),
            number: try query.integer("attempt", in: 1...Int.max))
        guard let bytes = try await read(attempt) else {
            throw RequestError(
                .notFound, "There is no log of attempt \(attempt.key.attempt) of \(attempt.key.id)",
                field: "instance", value: instance,
                hint: "Local workers' logs are on their own host, pool workers write to their own output")
        }
        var headers = HTTPFields()
        headers[.contentType] = "text/plain; charset=utf-8"
        headers[.cacheControl] = "no-store"
        if let name = HTTPField.Name("Streamforge-Attempt") { headers[name] = String(attempt.key.attempt) }
        return Response(
            status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// The attempt asked for, else the newest.
    private func attempt(
        of instance: String, in id: QueueID, step: StepID?, number: Int?
    ) async throws -> EngineStore.LoggedAttempt {
        guard let all = try await store.attempts(of: instance, step: step, in: id) else {
            throw QueueRoutes.notFound(id.rawValue)
        }
        let shown = String(instance.prefix(80))
        let steps = Set(all.map(\.key.id.step)).sorted()
        guard steps.count <= 1 else {
            throw RequestError(
                .missingField, "Several steps have an instance \(shown)", field: "step",
                hint: "Add ?step= with one of \(steps.map(\.rawValue).joined(separator: ", "))")
        }
        guard let newest = all.first else {
            throw RequestError(
                .notFound, "The queue has no attempt of an instance \(shown)", field: "instance",
                value: shown,
                hint: "GET /queues/\(id) lists its instances")
        }
        guard let number else { return newest }
        guard let wanted = all.first(where: { $0.key.attempt == number }) else {
            throw RequestError(
                .notFound, "\(newest.key.id) has no attempt \(number)", field: "attempt",
                value: String(number),
                hint: "Its newest is \(newest.key.attempt)")
        }
        return wanted
    }

    /// What was kept; else what a job that is still there has said so far.
    private func read(_ attempt: EngineStore.LoggedAttempt) async throws -> [UInt8]? {
        do {
            if let kept = try await logs.log(of: attempt.key) { return kept }
            guard let handle = attempt.handle else { return nil }
            return try await launcher.log(of: handle, bytesMax: SavedLog.bytesMax)
        } catch {
            throw RequestError(
                .unavailable, "The log cannot be read now", hint: String("\(error)".prefix(300)))
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
}
