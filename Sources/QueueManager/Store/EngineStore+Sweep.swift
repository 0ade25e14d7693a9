import PostgresBridge
import Workflow

extension EngineStore: SweepStorage {
    package func topicOwners(_ ids: [QueueID]) async throws -> [QueueID: TopicOwner] {
        // The plan, which is large, only where it decides.
        let rows = try await pool.execute(
            """
            SELECT queue_id, status, run, CASE WHEN is_cleaned THEN plan::text END AS cleaned_plan
            FROM streamforge.queues WHERE queue_id = ANY(\(ids.map(\.rawValue))::text[])
            """)
        var owners: [QueueID: TopicOwner] = [:]
        for row in rows {
            let owner: TopicOwner
            if let plan = try row["cleaned_plan", as: String?.self] {
                owner = .cleaned(try plans.plan(plan), runs: try row["run", as: Int.self])
            } else {
                owner = try row.word("status", as: QueueStatus.self).isFinal ? .ended : .open
            }
            owners[try row.queueID("queue_id")] = owner
        }
        return owners
    }

    package func goneAttempts(_ owners: [JobKey], for time: Duration) async throws -> Set<JobKey> {
        let rows = try await pool.execute(
            """
            SELECT queue_id, step, instance, attempt
            FROM unnest(\(owners.map(\.queueID.rawValue))::text[], \(owners.map(\.id.step.rawValue))::text[],
                \(owners.map(\.id.instance))::text[], \(owners.map { Int64($0.attempt) })::bigint[])
                AS job(queue_id, step, instance, attempt)
            JOIN streamforge.attempts a USING (queue_id, step, instance, attempt)
            WHERE a.is_gone
            AND a.ended_at <= now() - make_interval(secs => \(time.milliseconds)::float8 / 1000)
            """)
        return Set(
            try rows.map { row in
                JobKey(
                    queueID: try row.queueID("queue_id"),
                    id: InstanceID(
                        step: try row.stepID("step"), instance: try row["instance", as: String.self]),
                    attempt: try row["attempt", as: Int.self])
            })
    }
}
