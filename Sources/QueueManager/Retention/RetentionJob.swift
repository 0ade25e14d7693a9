import PostgresBridge
import ServiceLifecycle

/// Deletes what is old, a few rows at a time, one replica at a time.
///
/// Nobody waits for it: it takes only rows that nobody holds, and what it could not take is left for the next
/// round. With an archive, a queue is on the disk before its first row goes.
package struct RetentionJob: Service {
    let pool: PostgresPool
    let policy: RetentionPolicy
    let observe: UpkeepObserver
    /// Between batches.
    let sleep: @Sendable (Duration) async throws -> Void

    package init(
        pool: PostgresPool, policy: RetentionPolicy, observe: UpkeepObserver,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.pool = pool
        self.policy = policy
        self.observe = observe
        self.sleep = sleep
    }

    package func run() async throws {
        await upkeepLoop("retention", every: policy.interval, observe: observe) { try await round() }
    }

    /// - Returns: false when another replica is at it.
    @discardableResult
    package func round() async throws -> Bool {
        let isDone: Void? = try await pool.withAdvisoryLock("streamforge retention") { connection in
            let store = RetentionStore(connection: connection, policy: policy)
            try await repeatWhileFull(.idempotencyKeys) { try await store.deleteIdempotencyKeys() }
            try await repeatWhileFull(.deadLetters) { try await store.deleteDeadLetters() }
            if let days = policy.historyDays { try await deleteHistories(days, store) }
            if let days = policy.queuesKeepDays { try await deleteQueues(days, store) }
        }
        return isDone != nil
    }

    private func deleteHistories(_ days: Int, _ store: RetentionStore) async throws {
        var skipped: [String] = []
        while true {
            let queues = try await store.dueHistories(days: days, skipping: skipped)
            if queues.isEmpty { return }
            try await archive(queues, store)
            try await repeatWhileFull(.events) { try await store.deleteEvents(queues) }
            let done = Set(try await store.setHistoryDeleted(queues))
            // Somebody holds an event of theirs: not again in this round. Their number bounds the round.
            skipped += queues.map(\.queueID).filter { !done.contains($0) }
            if skipped.count > 1_000 { return }
            try await sleep(policy.pause)
        }
    }

    private func deleteQueues(_ days: Int, _ store: RetentionStore) async throws {
        var skipped: [String] = []
        while true {
            let queues = try await store.dueQueues(days: days, skipping: skipped)
            if queues.isEmpty { return }
            // What happened since its history was archived, e.g. a letter that was replayed late.
            try await archive(queues, store)
            try await repeatWhileFull(.events) { try await store.deleteEvents(queues) }
            for kind in [RetainedKind.deadLetters, .attempts, .instances] {
                try await repeatWhileFull(kind) { try await store.deleteRows(of: kind, queues) }
            }
            let gone = Set(try await store.deleteQueues(queues))
            observe(.rowsDeleted(.queues, count: gone.count))
            skipped += queues.map(\.queueID).filter { !gone.contains($0) }
            if skipped.count > 1_000 { return }
            try await sleep(policy.pause)
        }
    }

    private func archive(_ queues: [RetentionStore.Candidate], _ store: RetentionStore) async throws {
        let missing = queues.filter { !$0.isArchived }
        guard let directory = policy.archiveDirectory, !missing.isEmpty else { return }
        let archive = QueueArchive(directory: directory)
        for (day, queues) in Dictionary(grouping: missing, by: \.endDay).sorted(by: { $0.key < $1.key }) {
            try await archive.append(queues.map(\.queueID), day: day, from: store.connection)
        }
        try await store.setArchived(missing)
        observe(.queuesArchived(count: missing.count))
    }

    /// Deletes batches until one is not full.
    private func repeatWhileFull(_ kind: RetainedKind, _ delete: () async throws -> Int) async throws {
        while true {
            let count = try await delete()
            if count > 0 { observe(.rowsDeleted(kind, count: count)) }
            guard count == policy.rowsMax else { return }
            try await sleep(policy.pause)
        }
    }
}

extension PostgresPool {
    /// Runs `body` while this session holds a lock that one session of the database can hold at a time.
    ///
    /// - Returns: nil, without running it, when another session holds the lock.
    func withAdvisoryLock<R: Sendable>(
        _ name: String, _ body: (PostgresConnection) async throws -> R
    ) async throws -> R? {
        try await withConnection { connection in
            let rows = try await connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(\(name), 0)) AS is_ours")
            guard try rows.first?["is_ours", as: Bool.self] == true else { return nil }
            let unlock: PostgresQuery = "SELECT pg_advisory_unlock(hashtextextended(\(name), 0))"
            do {
                let value = try await body(connection)
                try await connection.execute(unlock)
                return value
            } catch {
                // A cancelled task can send nothing any more: its session ends, and the lock with it.
                do { try await connection.execute(unlock) } catch { await connection.close() }
                throw error
            }
        }
    }
}
