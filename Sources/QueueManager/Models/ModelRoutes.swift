import Hummingbird
import Workflow

/// `/models`: trained models, their stages, two side by side (docs/http-api.md).
struct ModelRoutes: Sendable {
    let store: ModelStore
    let removals: ModelRemovals

    private static let example = "{\"stage\":\"production\"}"

    func add(to router: Router<BasicRequestContext>) {
        let models = router.group("models")
        models.get { request, _ in try await list(request, nil) }
        models.get("{name}") { request, context in try await list(request, try Self.name(context)) }
        models.get("{name}/{version}") { _, context in
            try JSONAnswer.response(.ok, ModelAnswer.model(try await model(context, "version")))
        }
        models.delete("{name}/{version}") { _, context in try await remove(context) }
        models.post("{name}/{version}/promote") { request, context in try await promote(request, context) }
        models.get("{name}/{version}/compare/{other}") { _, context in
            let comparison = ModelComparison(
                first: try await model(context, "version"), second: try await model(context, "other"))
            return try JSONAnswer.response(.ok, comparison.answer)
        }
    }

    private func list(_ request: Request, _ name: ModelName?) async throws -> Response {
        let query = try Query(request, known: ["limit", "after", "stage"])
        let limit = try query.integer("limit", in: 1...ModelStore.pageMax) ?? 50
        let stage = try query.word("stage", ModelStage.self)
        let mark = try query.text("after").map { text throws(RequestError) in try Self.mark(text) }
        let rows = try await store.models(name, stage: stage, after: mark, limit: limit + 1)
        let page = rows.prefix(limit)
        let next = rows.count > limit ? page.last : nil
        return try JSONAnswer.response(
            .ok,
            .object([
                "models": .array(page.map(ModelAnswer.summary)),
                "next_after": next.map { .string("\($0.place.name)@\($0.version)") } ?? .null,
            ]))
    }

    private func promote(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        let body = try await QueueRoutes.readJSON(request, example: Self.example)
        let reader = try ObjectReader(body, path: "", known: ["stage"])
        let text = try reader.requiredString("stage", hint: "One of \(ModelStage.words)")
        guard let stage = ModelStage(rawValue: text) else {
            throw reader.invalid("stage", text, "There is no such stage", hint: "One of \(ModelStage.words)")
        }
        let version = try await model(context, "version").version
        guard let promoted = try await store.promote(name, version: version, to: stage) else {
            throw Self.notFound(name, String(version))
        }
        var answer = ModelAnswer.summary(promoted.model).members ?? [:]
        answer["archived_version"] = promoted.archived.map { .integer(Int64($0)) } ?? .null
        return try JSONAnswer.response(.ok, .object(answer))
    }

    /// By its number alone: `newest` is another one a moment later.
    private func remove(_ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        let text = context.parameters.get("version") ?? ""
        guard case .version(let version) = ModelWanted(text) else {
            throw RequestError(
                .invalidValue, "A model is removed by the number of its version", field: "version",
                value: String(text.prefix(80)), hint: "GET /models/\(name) lists them")
        }
        try await removals.remove(name, version: version)
        return try JSONAnswer.response(
            .ok,
            .object([
                "name": .string(name.rawValue), "version": .integer(Int64(version)), "removed": .bool(true),
            ]))
    }

    private func model(_ context: BasicRequestContext, _ parameter: String) async throws -> ModelRow {
        let name = try Self.name(context)
        let text = context.parameters.get(parameter) ?? ""
        guard let wanted = ModelWanted(text) else {
            throw RequestError(
                .invalidValue, "It is no version of a model", field: parameter,
                value: String(text.prefix(80)),
                hint: "Give \(ModelWanted.words)")
        }
        guard let row = try await store.model(name, wanted) else { throw Self.notFound(name, text) }
        return row
    }

    static func notFound(_ name: ModelName, _ version: String, field: String = "version") -> RequestError {
        RequestError(
            .notFound, "There is no version \(version) of a model \(name)", field: field, value: version,
            hint: "GET /models/\(name) lists its versions; POST …/promote puts one into a stage")
    }

    private static func name(_ context: BasicRequestContext) throws(RequestError) -> ModelName {
        let text = context.parameters.get("name") ?? ""
        guard let name = ModelName(text) else {
            throw RequestError(
                .invalidValue, "It is no name of a model", field: "name", value: String(text.prefix(80)),
                hint: ModelName.rules)
        }
        return name
    }

    private static func mark(_ text: String) throws(RequestError) -> (name: String, version: Int) {
        let parts = text.split(separator: "@")
        guard parts.count == 2, let version = Int(parts[1]) else {
            throw RequestError(
                .invalidValue, "after is not valid", field: "after", value: String(text.prefix(80)),
                hint: "next_after of the page before")
        }
        return (String(parts[0]), version)
    }
}
