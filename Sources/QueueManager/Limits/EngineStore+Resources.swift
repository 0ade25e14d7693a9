import PostgresBridge
import Workflow

extension EngineStore {
    /// Reads what the queues of a look may need, which nobody else changes until its transaction ends.
    ///
    /// Their rows are locked already: resources always come after queues, in a fixed order, so that no two
    /// transactions can wait for each other.
    /// - Returns: nil when nothing limits these queues; then nothing was asked.
    func loadResources(
        for queues: [QueueState], _ transaction: PostgresConnection
    ) async throws -> ResourceTable? {
        let limited = queues.filter { limits.concern($0.plan) }
        guard !limited.isEmpty else { return nil }
        let needed = limited.reduce(into: Set<Resource>()) {
            $0.formUnion(ResourceTable.needed(by: $1, limits))
        }.sorted { $0.name < $1.name }
        let ids = limited.map(\.queueID.rawValue)
        try await lock(needed, transaction)
        let results = try await transaction.execute([
            """
            SELECT queue_id, resource, step, instance FROM streamforge.resource_holds
            WHERE queue_id = ANY(\(ids)::text[])
            """,
            """
            SELECT queue_id, resource, step, instance, \(raw: milliseconds("since")), rank, is_short
            FROM streamforge.resource_waits WHERE queue_id = ANY(\(ids)::text[])
            """,
            "SELECT name, permits FROM streamforge.semaphores WHERE name = ANY(\(Self.semaphores(needed))::text[])",
        ])
        var holds: [QueueID: Set<ResourceHold>] = [:]
        for row in results[0] {
            holds[try row.queueID("queue_id"), default: []].insert(try ResourceHold(row))
        }
        var waits: [QueueID: Set<ResourceWait>] = [:]
        for row in results[1] {
            waits[try row.queueID("queue_id"), default: []].insert(try ResourceWait(row))
        }
        let permits = try Self.permits(results[2])
        let places = needed.map { ($0, limits.permits(of: $0, permits)) }
        var lines = try await others(than: ids, places, transaction)
        for hold in holds.values.joined() { lines[hold.resource]?.held += 1 }
        for wait in waits.values.joined() { lines[wait.hold.resource]?.waiters.append(wait.place) }
        for resource in needed { lines[resource]?.waiters.sort() }
        return ResourceTable(limits: limits, lines: lines, holds: holds, waits: waits)
    }

    /// Until the transaction ends.
    private func lock(_ resources: [Resource], _ transaction: PostgresConnection) async throws {
        guard !resources.isEmpty else { return }
        // In the order of what is locked in the end: two names may come to one number.
        try await transaction.execute(
            """
            SELECT pg_advisory_xact_lock(number) FROM (
                SELECT DISTINCT hashtextextended('resource:' || name, 0) AS number
                FROM unnest(\(resources.map(\.name))::text[]) AS name ORDER BY number) AS numbers
            """)
    }

    /// What queues that are not looked at hold, and the first of them in each line.
    private func others(
        than ids: [String], _ places: [(resource: Resource, permits: Int)], _ transaction: PostgresConnection
    ) async throws -> [Resource: ResourceLine] {
        guard !places.isEmpty else { return [:] }
        // Waiters beyond what could be free need not be known.
        let rows = try await transaction.execute(
            """
            SELECT x.resource, h.held, w.queue_id, w.rank
            FROM unnest(\(places.map(\.resource.name))::text[], \(places.map(\.permits))::bigint[])
            AS x(resource, permits)
            CROSS JOIN LATERAL (SELECT count(*) AS held FROM streamforge.resource_holds
                WHERE resource = x.resource AND queue_id <> ALL(\(ids)::text[])) AS h
            LEFT JOIN LATERAL (SELECT queue_id, rank FROM streamforge.resource_waits
                WHERE resource = x.resource AND queue_id <> ALL(\(ids)::text[])
                ORDER BY rank, queue_id LIMIT greatest(x.permits - h.held, 0)) AS w ON true
            """)
        let permits = Dictionary(places.map { ($0.resource.name, $0) }) { first, _ in first }
        var lines: [Resource: ResourceLine] = [:]
        for row in rows {
            guard let place = permits[try row["resource", as: String.self]] else { continue }
            var line =
                try lines[place.resource]
                ?? ResourceLine(permits: place.permits, held: try row["held", as: Int.self], waiters: [])
            if let rank = try row["rank", as: Int64?.self] {
                line.waiters.append(LinePlace(rank: rank, queueID: try row.queueID("queue_id")))
            }
            lines[place.resource] = line
        }
        return lines
    }

    private static func semaphores(_ resources: [Resource]) -> [String] {
        resources.compactMap { if case .semaphore(let name) = $0 { name.rawValue } else { nil } }
    }

    private static func permits(_ rows: PostgresResult) throws -> [ResourceName: Int] {
        try rows.reduce(into: [:]) { permits, row in
            if let name = ResourceName(try row["name", as: String.self]) {
                permits[name] = try row["permits", as: Int.self]
            }
        }
    }

    /// What writes what looks changed.
    static func save(_ changes: ResourceTable.Changes) -> [PostgresQuery] {
        var statements: [PostgresQuery] = []
        if !changes.returned.isEmpty { statements.append(delete("resource_holds", changes.returned)) }
        if !changes.left.isEmpty { statements.append(delete("resource_waits", changes.left)) }
        if !changes.given.isEmpty {
            let (queues, holds) = (changes.given.map(\.queueID.rawValue), changes.given.map(\.hold))
            statements.append(
                """
                INSERT INTO streamforge.resource_holds (resource, queue_id, step, instance)
                SELECT * FROM unnest(\(holds.map(\.resource.name))::text[], \(queues)::text[],
                \(holds.map(\.id.step.rawValue))::text[], \(holds.map(\.id.instance))::text[])
                ON CONFLICT DO NOTHING
                """)
        }
        if !changes.joined.isEmpty {
            let (queues, waits) = (changes.joined.map(\.queueID.rawValue), changes.joined.map(\.wait))
            statements.append(
                """
                INSERT INTO streamforge.resource_waits (resource, queue_id, step, instance, since, rank, is_short)
                SELECT resource, queue_id, step, instance,
                timestamptz 'epoch' + since * interval '1 millisecond', rank, is_short
                FROM unnest(\(waits.map(\.hold.resource.name))::text[], \(queues)::text[],
                \(waits.map(\.hold.id.step.rawValue))::text[], \(waits.map(\.hold.id.instance))::text[],
                \(waits.map(\.since))::bigint[], \(waits.map(\.place.rank))::bigint[],
                \(PostgresNullableArray(waits.map(\.isShort)))::boolean[])
                AS x(resource, queue_id, step, instance, since, rank, is_short)
                ON CONFLICT (resource, queue_id, step, instance) DO UPDATE SET since = excluded.since,
                rank = excluded.rank, is_short = excluded.is_short
                """)
        }
        return statements
    }

    private static func delete(_ table: String, _ rows: [ResourceTable.Changes.Held]) -> PostgresQuery {
        let (queues, holds) = (rows.map(\.queueID.rawValue), rows.map(\.hold))
        return """
            DELETE FROM streamforge.\(raw: table) t
            USING unnest(\(holds.map(\.resource.name))::text[], \(queues)::text[],
            \(holds.map(\.id.step.rawValue))::text[], \(holds.map(\.id.instance))::text[])
            AS x(resource, queue_id, step, instance)
            WHERE t.resource = x.resource AND t.queue_id = x.queue_id AND t.step = x.step
            AND t.instance = x.instance
            """
    }

    /// Lets those look that may have their turn now that something was given back.
    ///
    /// Called after the transaction that gave it back. Whoever read the resource before that has its place in
    /// line written when we have the lock. If we die first, they look by themselves after
    /// ``ResourceView/lookAgainMilliseconds``.
    func wake(_ freed: Set<Resource>) async throws {
        let resources = freed.sorted { $0.name < $1.name }
        guard !resources.isEmpty else { return }
        let first = try await pool.withTransaction { transaction in
            try await lock(resources, transaction)
            let rows = try await transaction.execute(
                """
                SELECT name, permits FROM streamforge.semaphores
                WHERE name = ANY(\(Self.semaphores(resources))::text[])
                """)
            let permits = try Self.permits(rows)
            return try await others(
                than: [], resources.map { ($0, limits.permits(of: $0, permits)) }, transaction)
        }
        let ids = Set(first.values.flatMap(\.waiters).map(\.queueID.rawValue)).sorted()
        guard !ids.isEmpty else { return }
        // In a transaction of its own, in a fixed order: queues are never locked after resources. Who holds a
        // claim looks again before giving it back.
        try await pool.execute(
            """
            UPDATE streamforge.queues q SET look_at = least(q.look_at, now())
            FROM (SELECT queue_id FROM streamforge.queues
                WHERE queue_id = ANY(\(ids)::text[]) AND claim_token IS NULL AND NOT is_cleaned
                ORDER BY queue_id \(raw: QueueState.lock)) AS first
            WHERE q.queue_id = first.queue_id
            """)
    }

    /// Forgets what was held for limits that are set no more.
    package func dropUnsetLimits() async throws {
        let set =
            limits.byTarget.keys.map { Resource.target($0).name }
            + (limits.overall == nil ? [] : [Resource.overall.name])
        for table in ["resource_holds", "resource_waits"] {
            try await pool.execute(
                """
                DELETE FROM streamforge.\(raw: table) WHERE (resource = 'overall' OR resource LIKE 'target:%')
                AND resource <> ALL(\(set)::text[])
                """)
        }
    }
}

extension ResourceHold {
    fileprivate init(_ row: PostgresRow) throws {
        let name = try row["resource", as: String.self]
        guard let resource = Resource(name) else { throw StoredValueError(column: "resource", value: name) }
        self.init(
            resource,
            InstanceID(step: try row.stepID("step"), instance: try row["instance", as: String.self]))
    }
}

extension ResourceWait {
    fileprivate init(_ row: PostgresRow) throws {
        self.init(
            hold: try ResourceHold(row), since: try row["since", as: Int64.self],
            place: LinePlace(rank: try row["rank", as: Int64.self], queueID: try row.queueID("queue_id")),
            isShort: try row["is_short", as: Bool.self])
    }
}
