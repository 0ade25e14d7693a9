import PostgresBridge
import Workflow

/// Who has a resource, or waits for it.
package struct ResourceUser: Sendable, Hashable {
    package var queueID: QueueID
    package var id: InstanceID
    package var since: String
}

/// What an instance waits for.
package struct WaitingFor: Sendable, Hashable {
    package var resource: String
    package var since: String
    /// The first of them; empty where others that wait come first.
    package var heldBy: [ResourceUser]
}

/// A lock, semaphore or limit as the API shows it.
package struct ResourceRow: Sendable, Hashable {
    package var resource: String
    /// nil where the limit is not set here.
    package var permits: Int?
    package var held: Int
    package var waiting: Int
    package var holders: [ResourceUser]
    /// In the order in which they get their turn.
    package var waiters: [ResourceUser]
}

extension EngineStore {
    package static let permitsRange = 1...100_000
    /// Holders and waiters shown of one resource.
    package static let resourceUsersShown = 20

    /// Sets how many instances may hold a semaphore; those that hold it already go on.
    ///
    /// - Returns: whether it is new.
    package func setSemaphore(_ name: ResourceName, permits: Int) async throws -> Bool {
        let rows = try await pool.execute(
            """
            INSERT INTO streamforge.semaphores (name, permits) VALUES (\(name.rawValue), \(permits))
            ON CONFLICT (name) DO UPDATE SET permits = excluded.permits RETURNING xmax = 0 AS is_new
            """)
        try await wake([.semaphore(name)])
        return try rows.first.map { try $0["is_new", as: Bool.self] } ?? false
    }

    /// Forgets what was set: it has ``InstanceLimits/permitsDefault`` again.
    ///
    /// - Returns: false when it was not set.
    package func deleteSemaphore(_ name: ResourceName) async throws -> Bool {
        let rows = try await pool.execute(
            "DELETE FROM streamforge.semaphores WHERE name = \(name.rawValue) RETURNING name")
        return !rows.isEmpty
    }

    /// Everything that is set, held or waited for, by name.
    package func resources(after name: String?, limit: Int) async throws -> [ResourceRow] {
        let set =
            limits.byTarget.keys.map { Resource.target($0).name }
            + (limits.overall == nil ? [] : [Resource.overall.name])
        let rows = try await pool.execute(
            """
            SELECT n.resource, s.permits,
            (SELECT count(*) FROM streamforge.resource_holds h WHERE h.resource = n.resource) AS held,
            (SELECT count(*) FROM streamforge.resource_waits w WHERE w.resource = n.resource) AS waiting
            FROM (SELECT 'semaphore:' || name AS resource FROM streamforge.semaphores
                UNION SELECT resource FROM streamforge.resource_holds
                UNION SELECT resource FROM streamforge.resource_waits
                UNION SELECT unnest(\(set)::text[])) AS n
            LEFT JOIN streamforge.semaphores s ON 'semaphore:' || s.name = n.resource
            WHERE n.resource COLLATE "C" > \(name ?? "") ORDER BY n.resource COLLATE "C" LIMIT \(limit)
            """)
        let names = try rows.map { try $0["resource", as: String.self] }
        let holders = try await users("resource_holds", by: "since", of: names)
        let waiters = try await users("resource_waits", by: "rank", of: names)
        return try rows.map { row in
            let name = try row["resource", as: String.self]
            let permits = Resource(name).map { limits.permits(of: $0, [:]) }
            return ResourceRow(
                resource: name,
                permits: try row["permits", as: Int?.self] ?? permits.flatMap { $0 == .max ? nil : $0 },
                held: try row["held", as: Int.self], waiting: try row["waiting", as: Int.self],
                holders: holders[name] ?? [], waiters: waiters[name] ?? [])
        }
    }

    /// What the instances of a queue lack, for people.
    package func waits(of queue: QueueRow) async throws -> [InstanceID: WaitingFor] {
        guard !queue.status.isFinal, limits.concern(queue.plan) else { return [:] }
        let rows = try await pool.execute(
            """
            SELECT DISTINCT ON (step, instance) resource, step, instance, \(raw: timeText("since"))
            FROM streamforge.resource_waits WHERE queue_id = \(queue.queueID.rawValue) AND is_short
            ORDER BY step, instance, resource
            """)
        let holders = try await users(
            "resource_holds", by: "since",
            of: Array(Set(try rows.map { try $0["resource", as: String.self] })))
        return try rows.reduce(into: [:]) { waits, row in
            let id = InstanceID(step: try row.stepID("step"), instance: try row["instance", as: String.self])
            let resource = try row["resource", as: String.self]
            waits[id] = WaitingFor(
                resource: resource, since: try row["since", as: String.self], heldBy: holders[resource] ?? [])
        }
    }

    private func users(
        _ table: String, by first: String, of names: [String]
    ) async throws -> [String: [ResourceUser]] {
        guard !names.isEmpty else { return [:] }
        let rows = try await pool.execute(
            """
            SELECT n.name, u.queue_id, u.step, u.instance, \(raw: timeText("u.since", as: "since"))
            FROM unnest(\(names)::text[]) AS n(name)
            CROSS JOIN LATERAL (SELECT * FROM streamforge.\(raw: table) WHERE resource = n.name
                ORDER BY \(raw: first), queue_id LIMIT \(Self.resourceUsersShown)) AS u
            ORDER BY u.\(raw: first), u.queue_id
            """)
        return try rows.reduce(into: [:]) { users, row in
            users[try row["name", as: String.self], default: []].append(
                ResourceUser(
                    queueID: try row.queueID("queue_id"),
                    id: InstanceID(
                        step: try row.stepID("step"), instance: try row["instance", as: String.self]),
                    since: try row["since", as: String.self]))
        }
    }
}
