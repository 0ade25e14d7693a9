import Hummingbird
import Workflow

/// `/templates`: workflows that are stored to be started by name (docs/http-api.md).
package struct TemplateRoutes: Sendable {
    let store: TemplateStore

    package init(store: TemplateStore) {
        self.store = store
    }

    package func add(to router: Router<BasicRequestContext>) {
        let templates = router.group("templates")
        templates.post { request, _ in try await save(request) }
        templates.get { request, _ in try await list(request) }
        templates.get("{name}") { _, context in try await show(context) }
        templates.get("{name}/versions/{version}") { _, context in try await show(context) }
    }

    private func save(_ request: Request) async throws -> Response {
        let definition = try await QueueRoutes.readJSON(
            request, example: "{\"name\":\"minutes\",\"parameters\":{…},\"workflow\":{…}}")
        let saved = try await store.save(definition)
        let name = definition.members?["name"] ?? .null
        return try JSONAnswer.response(
            saved.isNew ? .created : .ok,
            .object(["name": name, "version": .integer(Int64(saved.version))]),
            headers: [.location: "/templates/\(name.string ?? "")/versions/\(saved.version)"])
    }

    private func list(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["limit", "after"])
        let limit = try query.integer("limit", in: 1...TemplateStore.pageMax) ?? 50
        let page = try await store.templates(after: query.text("after"), limit: limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "templates": .array(page.rows.map { .object(Self.summary($0)) }),
                "next_after": page.next.map { .string($0) } ?? .null,
            ]))
    }

    private func show(_ context: BasicRequestContext) async throws -> Response {
        let name = context.parameters.get("name") ?? ""
        let version = context.parameters.get("version")
        let text = name + (version.map { "@\($0)" } ?? "")
        guard let reference = TemplateReference(text), let row = try await store.template(reference) else {
            throw Self.notFound(text, field: "name")
        }
        var fields = row.template.definition.members ?? [:]
        fields.merge(Self.summary(row)) { definition, _ in definition }
        return try JSONAnswer.response(.ok, .object(fields))
    }

    private static func summary(_ row: TemplateRow) -> [String: JSONValue] {
        [
            "name": .string(row.template.name.rawValue), "version": .integer(Int64(row.template.version)),
            "description": .string(row.template.description),
            "parameters": .array(row.template.parameters.map { .string($0.name) }),
            "is_built_in": .bool(row.isBuiltIn),
            "created_at": row.createdAt.map { .string($0) } ?? .null,
        ]
    }

    static func notFound(_ text: String, field: String) -> RequestError {
        RequestError(
            .notFound, "There is no template \(text.prefix(80))", field: field,
            value: String(text.prefix(80)),
            hint: "GET /templates lists them")
    }
}
