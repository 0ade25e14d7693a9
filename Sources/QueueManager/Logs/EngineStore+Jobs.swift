import PostgresBridge
import Workflow

extension EngineStore {
    /// What is known of attempts that jobs were made for.
    package struct JobsOverview: Sendable, Equatable {
        /// They are over, and nothing of them is needed any more.
        package var done: Set<JobKey> = []
        /// They are of no queue here.
        package var unknown: Set<JobKey> = []
    }

    package func jobsOverview(of keys: [JobKey]) async throws -> JobsOverview {
        var overview = JobsOverview()
        guard !keys.isEmpty else { return overview }
        let rows = try await pool.execute(
            """
            SELECT k.position, a.queue_id IS NULL AS is_unknown
            FROM unnest(\(keys.map(\.queueID.rawValue))::text[], \(keys.map(\.id.step.rawValue))::text[],
                \(keys.map(\.id.instance))::text[], \(keys.map(\.attempt))::int[])
                WITH ORDINALITY AS k(queue_id, step, instance, attempt, position)
            LEFT JOIN streamforge.attempts a ON a.queue_id = k.queue_id AND a.step = k.step
                AND a.instance = k.instance AND a.attempt = k.attempt
            WHERE a.queue_id IS NULL OR a.is_gone
            """)
        for row in rows {
            let index = try row["position", as: Int.self] - 1
            guard keys.indices.contains(index) else { continue }
            if try row["is_unknown", as: Bool.self] {
                overview.unknown.insert(keys[index])
            } else {
                overview.done.insert(keys[index])
            }
        }
        return overview
    }

    /// Runs `body` unless another session of the database does so at this moment.
    package func sweepOneAtATime(_ body: @Sendable () async throws -> Void) async throws {
        _ = try await pool.withAdvisoryLock("streamforge job sweep") { _ in try await body() }
    }

    /// An attempt whose log somebody asks for.
    struct LoggedAttempt: Sendable {
        var key: JobKey
        var handle: JobHandle?
    }

    /// The attempts of an instance, the newest first; nil when there is no such queue.
    ///
    /// - Parameter step: only of this one; nil: an instance of that name in every step.
    func attempts(of instance: String, step: StepID?, in id: QueueID) async throws -> [LoggedAttempt]? {
        let results = try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) {
            try await $0.execute([
                "SELECT queue_id FROM streamforge.queues WHERE queue_id = \(id.rawValue)",
                """
                SELECT step, attempt, handle::text AS handle FROM streamforge.attempts
                WHERE queue_id = \(id.rawValue) AND instance = \(instance)
                AND (\(step?.rawValue)::text IS NULL OR step = \(step?.rawValue)::text)
                ORDER BY step, attempt DESC LIMIT 10000
                """,
            ])
        }
        guard !results[0].isEmpty else { return nil }
        return try results[1].compactMap { row in
            guard let step = StepID(try row["step", as: String.self]) else { return nil }
            let handle = try row["handle", as: String?.self].map {
                try MessageCodec.decode(JobHandle.self, fromText: $0)
            }
            let key = JobKey(
                queueID: id, id: InstanceID(step: step, instance: instance),
                attempt: try row["attempt", as: Int.self])
            return LoggedAttempt(key: key, handle: handle)
        }
    }
}
