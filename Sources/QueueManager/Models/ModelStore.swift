import PostgresBridge
import Workflow

/// A version of a model as the registry knows it.
package struct ModelRow: Sendable, Equatable {
    package var place: ModelPlace
    package var version: Int
    package var stage: ModelStage
    package var queueID: String
    package var step: String
    /// What the trainer said at its end.
    package var detail: [String: JSONValue]
    /// RFC 3339, UTC.
    package var createdAt: String
    package var stageSince: String
}

/// The registry of models. Versions are numbered from 1 within a name, in the order in which they were made.
package struct ModelStore: Sendable {
    let pool: PostgresPool

    package static let pageMax = 200

    package init(_ pool: PostgresPool) {
        self.pool = pool
    }

    /// All versions, by name and the newest first.
    ///
    /// - Parameters:
    ///   - name: of this one only.
    ///   - mark: begin after this one.
    package func models(
        _ name: ModelName?, stage: ModelStage?, after mark: (name: String, version: Int)?, limit: Int
    ) async throws -> [ModelRow] {
        try await number()
        return try await pool.execute(
            """
            SELECT \(raw: ModelRow.columns) FROM streamforge.models
            WHERE version IS NOT NULL AND removed_at IS NULL AND (\(optional: name?.rawValue)::text IS NULL
                OR name = \(optional: name?.rawValue)::text)
            AND (\(optional: stage?.rawValue)::text IS NULL OR stage = \(optional: stage?.rawValue)::text)
            AND (\(optional: mark?.name)::text IS NULL OR name > \(optional: mark?.name)::text
                OR (name = \(optional: mark?.name)::text AND version < \(optional: mark?.version)::integer))
            ORDER BY name, version DESC LIMIT \(limit)
            """
        ).map { try ModelRow($0) }
    }

    /// nil when there is none.
    package func model(_ name: ModelName, _ wanted: ModelWanted) async throws -> ModelRow? {
        try await number()
        let (version, stage): (Int?, String?) =
            switch wanted {
            case .version(let version): (version, nil)
            case .stage(let stage): (nil, stage.rawValue)
            case .newest: (nil, nil)
            }
        return try await pool.execute(
            """
            SELECT \(raw: ModelRow.columns) FROM streamforge.models
            WHERE name = \(name.rawValue) AND version IS NOT NULL AND removed_at IS NULL
            AND (\(optional: version)::integer IS NULL OR version = \(optional: version)::integer)
            AND (\(optional: stage)::text IS NULL OR stage = \(optional: stage)::text)
            ORDER BY version DESC LIMIT 1
            """
        ).first.map { try ModelRow($0) }
    }

    /// Puts a version into a stage; the one that is in `staging` or `production` so far is archived.
    ///
    /// - Returns: nil when there is no such version; else the version, and the one that was archived.
    package func promote(
        _ name: ModelName, version: Int, to stage: ModelStage
    ) async throws -> (model: ModelRow, archived: Int?)? {
        try await number()
        return try await pool.withTransaction { transaction in
            try await Self.lock(transaction)
            guard let row = try await Self.row(name, version, transaction) else { return nil }
            guard row.stage != stage else { return (row, nil) }
            var archived: Int?
            if stage.isInUse {
                archived = try await transaction.execute(
                    """
                    UPDATE streamforge.models SET stage = 'archived', stage_since = now()
                    WHERE name = \(name.rawValue) AND stage = \(stage.rawValue) RETURNING version
                    """
                ).first.map { try $0["version", as: Int.self] }
            }
            try await transaction.execute(
                """
                UPDATE streamforge.models SET stage = \(stage.rawValue), stage_since = now()
                WHERE name = \(name.rawValue) AND version = \(version)
                """)
            return try await Self.row(name, version, transaction).map { ($0, archived) }
        }
    }

    private static func row(
        _ name: ModelName, _ version: Int, _ transaction: PostgresConnection
    ) async throws -> ModelRow? {
        try await transaction.execute(
            """
            SELECT \(raw: ModelRow.columns) FROM streamforge.models
            WHERE name = \(name.rawValue) AND version = \(version) AND removed_at IS NULL
            """
        ).first.map { try ModelRow($0) }
    }

    /// Gives versions to models that were registered since somebody looked last.
    func number() async throws {
        let isAny = try await pool.execute(
            "SELECT 1 AS one FROM streamforge.models WHERE version IS NULL LIMIT 1")
        guard !isAny.isEmpty else { return }
        try await pool.withTransaction { transaction in
            try await Self.lock(transaction)
            try await transaction.execute(
                """
                UPDATE streamforge.models m SET version = n.version
                FROM (SELECT o.number, greatest(
                        (SELECT max(version) FROM streamforge.models k WHERE k.name = o.name),
                        (SELECT version FROM streamforge.models_removed k WHERE k.name = o.name), 0)
                        + row_number() OVER (PARTITION BY o.name ORDER BY o.number) AS version
                    FROM streamforge.models o WHERE o.version IS NULL) AS n
                WHERE m.number = n.number
                """)
        }
    }

    static func lock(_ transaction: PostgresConnection) async throws {
        try await transaction.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('streamforge:models', 0))")
    }
}

/// Which version of a model somebody wants.
package enum ModelWanted: Sendable, Hashable {
    case version(Int)
    case stage(ModelStage)
    case newest

    /// A number, a stage, or `newest`.
    package init?(_ text: String) {
        if let version = Int(text), version > 0 {
            self = .version(version)
        } else if let stage = ModelStage(rawValue: text) {
            self = .stage(stage)
        } else if text == "newest" {
            self = .newest
        } else {
            return nil
        }
    }

    package static let words = "the number of a version, newest, or a stage: \(ModelStage.words)"
}

extension ModelRow {
    static let columns = """
        place, version, stage, queue_id, step, detail::text AS detail, \(timeText("created_at")), \
        \(timeText("stage_since"))
        """

    init(_ row: PostgresRow) throws {
        let text = try row["place", as: String.self]
        guard let place = ModelPlace(text) else {
            throw RequestError(
                .unavailable, "The registry has a model at \(text), which is no place of one", field: nil)
        }
        self.place = place
        version = try row["version", as: Int.self]
        stage = try row.word("stage", as: ModelStage.self)
        queueID = try row["queue_id", as: String.self]
        step = try row["step", as: String.self]
        let json = try MessageCodec.decode(
            JSONValue.self, from: Array(try row["detail", as: String.self].utf8))
        detail = json.members ?? [:]
        createdAt = try row["created_at", as: String.self]
        stageSince = try row["stage_since", as: String.self]
    }
}
