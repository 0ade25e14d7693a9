import PostgresBridge
import Workflow

extension ModelStore {
    /// Whether a version may be removed.
    enum Removal: Sendable, Equatable {
        case begun(ModelRemoval)
        /// There is no such version.
        case missing
        /// It is in `staging` or `production`.
        case inStage(ModelStage)
        /// A queue that is not final has trained it or is to ask it.
        case inUse(queueID: String)
    }

    /// Makes a version invisible, for its files to be removed; again for one that is invisible already.
    func beginRemoval(_ name: ModelName, version: Int) async throws -> Removal {
        try await number()
        return try await pool.withTransaction { transaction in
            try await Self.lock(transaction)
            let rows = try await transaction.execute(
                """
                SELECT place, stage, detail->>'folder' AS folder, removed_at IS NOT NULL AS is_removed
                FROM streamforge.models WHERE name = \(name.rawValue) AND version = \(version)
                """)
            guard let row = rows.first else { return .missing }
            let removal = try ModelRemoval(row)
            guard try !row["is_removed", as: Bool.self] else { return .begun(removal) }
            let stage = try row.word("stage", as: ModelStage.self)
            guard !stage.isInUse else { return .inStage(stage) }
            if let queueID = try await Self.user(of: removal.place, transaction) {
                return .inUse(queueID: queueID)
            }
            try await transaction.execute(
                "UPDATE streamforge.models SET removed_at = now() WHERE place = \(removal.place.rawValue)")
            return .begun(removal)
        }
    }

    /// Models that are invisible and not gone, the oldest first.
    func removals(limit: Int) async throws -> [ModelRemoval] {
        try await pool.execute(
            """
            SELECT place, detail->>'folder' AS folder FROM streamforge.models
            WHERE removed_at IS NOT NULL ORDER BY number LIMIT \(limit)
            """
        ).map { try ModelRemoval($0) }
    }

    /// Removes the row, after the files; not when the same model was trained again meanwhile.
    func endRemoval(_ removal: ModelRemoval) async throws {
        try await pool.withTransaction { transaction in
            try await Self.lock(transaction)
            try await transaction.execute(
                """
                WITH gone AS (DELETE FROM streamforge.models WHERE place = \(removal.place.rawValue)
                    AND removed_at IS NOT NULL AND detail->>'folder' IS NOT DISTINCT FROM
                    \(optional: removal.folder)::text RETURNING name, version)
                INSERT INTO streamforge.models_removed (name, version)
                SELECT name, version FROM gone WHERE version IS NOT NULL
                ON CONFLICT (name) DO UPDATE
                SET version = greatest(models_removed.version, EXCLUDED.version)
                """)
        }
    }

    /// A queue that is not final and has trained the model or is to ask it.
    private static func user(
        of place: ModelPlace, _ transaction: PostgresConnection
    ) async throws -> String? {
        try await transaction.execute(
            """
            SELECT q.queue_id FROM streamforge.queues q
            WHERE q.status NOT IN ('finished', 'failed', 'stopped') AND (
                EXISTS (SELECT FROM jsonb_array_elements(q.plan->'steps') AS s(step)
                    WHERE s.step->'model'->>'model_place' = \(place.rawValue))
                OR EXISTS (SELECT FROM streamforge.instances i WHERE i.queue_id = q.queue_id
                    AND i.extra->>'model_place' = \(place.rawValue)))
            ORDER BY q.queue_id LIMIT 1
            """
        ).first.map { try $0["queue_id", as: String.self] }
    }
}

/// A model whose files are to go.
struct ModelRemoval: Sendable, Equatable {
    var place: ModelPlace
    /// Of its files, below the place: files that another training has put there since stay.
    var folder: String?
}

extension ModelRemoval {
    init(_ row: PostgresRow) throws {
        let text = try row["place", as: String.self]
        guard let place = ModelPlace(text) else {
            throw RequestError(
                .unavailable, "The registry has a model at \(text), which is no place of one", field: nil)
        }
        self.init(place: place, folder: try row["folder", as: String?.self])
    }
}
