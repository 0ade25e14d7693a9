import PostgresBridge
import Workflow

extension EngineStore {
    /// Which of these attempts are over with all they said, or are not of any queue here.
    package func finishedJobs(among keys: [JobKey]) async throws -> Set<JobKey> {
        guard !keys.isEmpty else { return [] }
        let rows = try await pool.execute(
            """
            SELECT k.queue_id, k.step, k.instance, k.attempt
            FROM unnest(\(keys.map(\.queueID.rawValue))::text[], \(keys.map(\.id.step.rawValue))::text[],
                \(keys.map(\.id.instance))::text[], \(keys.map(\.attempt))::int[])
                AS k(queue_id, step, instance, attempt)
            LEFT JOIN streamforge.attempts a ON a.queue_id = k.queue_id AND a.step = k.step
                AND a.instance = k.instance AND a.attempt = k.attempt
            WHERE a.queue_id IS NULL OR a.is_gone
            """)
        var known: [String: JobKey] = [:]
        for key in keys { known[key.fileName] = key }
        var finished: Set<JobKey> = []
        for row in rows {
            let (queue, step) = (try row["queue_id", as: String.self], try row["step", as: String.self])
            let (instance, number) = (
                try row["instance", as: String.self], try row["attempt", as: Int.self]
            )
            if let key = known["\(queue)-\(step)-\(instance)-\(number).log"] { finished.insert(key) }
        }
        return finished
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
