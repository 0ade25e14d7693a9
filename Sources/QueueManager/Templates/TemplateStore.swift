import PostgresBridge
import Workflow

/// A template with what the store knows about it.
package struct TemplateRow: Sendable {
    package var template: Template
    /// RFC 3339, UTC; nil for a template that came with the program.
    package var createdAt: String?

    package var isBuiltIn: Bool { createdAt == nil }
}

/// Stored templates beside the built-in ones. Versions are numbered from 1 and never change.
package struct TemplateStore: Sendable {
    let pool: PostgresPool

    package init(_ pool: PostgresPool) {
        self.pool = pool
    }

    package static let pageMax = 200
    package static let versionsMax = 1_000

    package struct Saved: Sendable, Hashable {
        package var version: Int
        /// False when it equals the newest version, which then stands.
        package var isNew: Bool
    }

    /// Stores a definition as the next version of its name.
    ///
    /// - Throws: ``RequestError`` when the definition is not right, the name belongs to a built-in template
    ///   (`conflict`), or there are ``versionsMax`` versions already.
    package func save(_ definition: JSONValue) async throws -> Saved {
        let template = try Template(definition, version: 1)
        let name = template.name.rawValue
        guard BuiltInTemplates.template(template.name) == nil else {
            throw RequestError(
                .conflict, "The template \(name) comes with the program and cannot be replaced",
                field: "name", value: name, hint: "Choose another name")
        }
        return try await pool.withTransaction { transaction in
            // Two at once: the second waits here and then sees the first's version.
            try await transaction.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(\("template:" + name), 0))")
            let newest = try await transaction.execute(Self.select(template.reference.newest)).first.map {
                try TemplateRow($0).template
            }
            if let newest, newest.definition == template.definition {
                return Saved(version: newest.version, isNew: false)
            }
            let version = (newest?.version ?? 0) + 1
            guard version <= Self.versionsMax else {
                throw RequestError(
                    .conflict, "The template \(name) has \(Self.versionsMax) versions, the most there may be",
                    field: "name", value: name, hint: "Store it under another name")
            }
            try await transaction.execute(
                """
                INSERT INTO streamforge.templates (name, version, definition)
                VALUES (\(name), \(version), \(PostgresJSON(try MessageCodec.encode(template.definition))))
                """)
            return Saved(version: version, isNew: true)
        }
    }

    /// The version a reference names, the newest when it names none; nil when there is no such template.
    package func template(_ reference: TemplateReference) async throws -> TemplateRow? {
        if let builtIn = BuiltInTemplates.template(reference.name) {
            let isThere = reference.version.map { $0 == builtIn.version } ?? true
            return isThere ? TemplateRow(template: builtIn) : nil
        }
        return try await pool.execute(Self.select(reference)).first.map { try TemplateRow($0) }
    }

    /// The newest version of each template, by name.
    ///
    /// - Parameter name: begin after this one.
    package func templates(
        after name: String?, limit: Int
    ) async throws -> (rows: [TemplateRow], next: String?) {
        let stored = try await pool.execute(
            """
            SELECT DISTINCT ON (name) \(raw: TemplateRow.columns) FROM streamforge.templates
            WHERE name > \(name ?? "") ORDER BY name, version DESC LIMIT \(limit + 1)
            """)
        let builtIn = BuiltInTemplates.all.filter { $0.name.rawValue > name ?? "" }
        let rows = try stored.map { try TemplateRow($0) } + builtIn.map { TemplateRow(template: $0) }
        let sorted = rows.sorted { $0.template.name < $1.template.name }
        let page = Array(sorted.prefix(limit))
        return (page, sorted.count > limit ? page.last?.template.name.rawValue : nil)
    }

    private static func select(_ reference: TemplateReference) -> PostgresQuery {
        """
        SELECT \(raw: TemplateRow.columns) FROM streamforge.templates
        WHERE name = \(reference.name.rawValue)
        AND (\(optional: reference.version)::integer IS NULL
            OR version = \(optional: reference.version)::integer)
        ORDER BY version DESC LIMIT 1
        """
    }
}

extension TemplateRow {
    static let columns = "name, version, definition::text AS definition, \(timeText("created_at"))"

    init(_ row: PostgresRow) throws {
        let json = try MessageCodec.decode(
            JSONValue.self, from: Array(try row["definition", as: String.self].utf8),
            bytesMax: QueueRoutes.bodyBytesMax * 2)
        template = try Template(json, version: try row["version", as: Int.self])
        createdAt = try row["created_at", as: String.self]
    }
}

extension TemplateReference {
    var newest: TemplateReference { TemplateReference(name: name, version: nil) }
}
