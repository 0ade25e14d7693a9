import PostgresBridge
import ServiceLifecycle
import Workflow

/// Shows queues as documents in the document store, for those who read there; PostgreSQL stays the truth.
///
/// Follows the feed over all queues: each queue that something happened to is read anew and written over
/// what is there, so repeats are harmless, and the position moves after the documents. One replica at a time. While
/// the store is away nothing moves; afterwards it catches up. A document may be late, it is never lost.
package struct QueueProjection: Service {
    let store: ProjectionStore
    let engine: EngineStore
    let history: HistoryStore
    let documents: any DocumentStore
    let collection: CollectionName
    let observe: UpkeepObserver

    static let interval = Duration.milliseconds(500)
    static let queuesMax = 100
    static let eventsMax = 500
    /// A document that leaves no room for others goes alone.
    private static let batchBytesMax = 4 << 20

    package init(
        pool: PostgresPool, documents: any DocumentStore, collection: CollectionName, observe: UpkeepObserver
    ) {
        store = ProjectionStore(pool)
        engine = EngineStore(pool)
        history = HistoryStore(pool)
        self.documents = documents
        self.collection = collection
        self.observe = observe
    }

    package func run() async throws {
        await upkeepLoop("projection", every: Self.interval, observe: observe) { try await round() }
    }

    /// Writes everything that is certain by now.
    ///
    /// - Returns: false when another replica is at it.
    @discardableResult
    package func round() async throws -> Bool {
        let isDone: Void? = try await store.pool.withAdvisoryLock("streamforge projection \(collection)") {
            _ in
            while try await step() { try Task.checkCancellation() }
        }
        return isDone != nil
    }

    /// - Returns: whether there may be more to do at once.
    func step() async throws -> Bool {
        guard let position = try await store.position(of: collection.rawValue) else {
            try await store.requestRebuild(of: collection.rawValue)
            return true
        }
        if let after = position.rebuildAfter { return try await rebuild(position, after: after) }
        let removed = try await store.removed(limit: Self.queuesMax)
        if !removed.isEmpty {
            try await documents.remove(removed, from: collection)
            try await store.forget(removed)
        }
        let events = try await history.events(after: position.feed, limit: Self.eventsMax)
        guard let last = events.last else { return !removed.isEmpty }
        var seen: Set<QueueID> = []
        try await write(events.map(\.queueID).filter { seen.insert($0).inserted })
        var next = position
        next.feed = last.cursor
        // Another position now: a rebuild was asked for, the next step begins it.
        return try await !store.move(collection.rawValue, from: position, to: next)
            || events.count == Self.eventsMax || !removed.isEmpty
    }

    /// One page of a rebuild; the first one drops what is there.
    private func rebuild(_ position: ProjectionStore.Position, after: String) async throws -> Bool {
        if after.isEmpty {
            observe(.rebuildBegan)
            try await documents.dropCollection(collection)
            try await documents.ensureCollection(collection, indexes: [DocumentIndex(fields: ["status"])])
        }
        let ids = try await store.queueIDs(after: after, limit: Self.queuesMax)
        try await write(ids)
        var next = position
        next.rebuildAfter = ids.count == Self.queuesMax ? ids.last?.rawValue : nil
        let isMoved = try await store.move(collection.rawValue, from: position, to: next)
        if isMoved, next.rebuildAfter == nil { observe(.rebuildEnded) }
        return true
    }

    private func write(_ ids: [QueueID]) async throws {
        var batch = DocumentBatch()
        for id in ids {
            // Deleted since: retention has left word.
            guard let (queue, instances) = try await engine.queue(id) else { continue }
            let json = try QueueDocument.json(queue, instances)
            if !batch.isEmpty, batch.bytes.count + json.count > Self.batchBytesMax {
                try await send(batch)
                batch.removeAll()
            }
            batch.append(key: id.rawValue.utf8, json: json)
        }
        if !batch.isEmpty { try await send(batch) }
    }

    private func send(_ batch: DocumentBatch) async throws {
        let outcome = try await documents.write(batch, to: collection, mode: .upsert, advance: nil) { _ in }
        if let refused = outcome.refused.first {
            throw StoreError(
                .corrupt, operation: "write a queue to \(collection)", detail: "refused: \(refused.reason)")
        }
        observe(.queuesProjected(count: batch.count))
    }
}

/// A queue as its document.
enum QueueDocument {
    static func json(_ queue: QueueRow, _ instances: [InstanceRow]) throws -> [UInt8] {
        guard case .object(var fields) = QueueAnswer.queue(queue, instances) else {
            preconditionFailure("a queue is shown as an object")
        }
        fields["_key"] = .string(queue.queueID.rawValue)
        return try MessageCodec.encode(JSONValue.object(fields))
    }
}
