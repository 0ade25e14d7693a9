import EngineSimulation
import PostgresBridge
import QueueManager
import TestSupport
import Testing
import Workflow

/// The two implementations of ``EngineStorage``.
enum StorageKind: CaseIterable {
    case memory, postgres

    /// Runs `body` with an empty storage of this kind.
    func withStage(_ body: (StorageStage) async throws -> Void) async throws {
        switch self {
        case .memory: try await body(.memory())
        case .postgres: try await withPostgres { try await body(.postgres(EngineStore($0), $0)) }
        }
    }
}

/// A storage, and what a test of it needs beside the port itself.
struct StorageStage: Sendable {
    let storage: any EngineStorage & SweepStorage
    let request: @Sendable (QueueRequest, QueueID) async throws -> Void
    /// The numbers of a queue's history, in its order.
    let historyNumbers: @Sendable (QueueID) async throws -> [Int64]
    /// Lets this many milliseconds pass for all that is stored.
    let pass: @Sendable (Int64) async throws -> Void

    static func memory() -> StorageStage {
        let clock = Mutable<Int64>(1_000_000_000)
        let storage = MemoryEngineStorage { clock.value }
        return StorageStage(
            storage: storage,
            request: { _ = storage.request($0, of: $1) },
            historyNumbers: { storage.history(of: $0).map(\.number) }, pass: { clock.value += $0 })
    }

    /// A server's clock cannot be moved: what is stored moves back instead.
    static func postgres(_ store: EngineStore, _ pool: PostgresPool) async throws -> StorageStage {
        try await store.migrate()
        return StorageStage(
            storage: store,
            request: { _ = try await store.request($0, of: $1, actor: "api") },
            historyNumbers: { id in
                try await pool.execute(
                    "SELECT number FROM streamforge.events WHERE queue_id = \(id.rawValue) ORDER BY number"
                ).map { try $0["number", as: Int64.self] }
            },
            pass: { milliseconds in
                for (table, columns) in [
                    ("queues", ["look_at"]), ("outbox", ["send_at"]),
                    ("event_partitions", ["owned_until", "caught_up_at"]), ("attempts", ["ended_at"]),
                ] {
                    let changes = columns.map { "\($0) = \($0) - interval '\(milliseconds) milliseconds'" }
                    try await pool.execute(
                        "UPDATE streamforge.\(raw: table) SET \(raw: changes.joined(separator: ", "))")
                }
            })
    }

    // MARK: Queues

    static let step = "work"

    /// The id of a queue that a test calls by one letter.
    static func id(_ letter: String) throws -> QueueID { try #require(QueueID("wf-contract-00000\(letter)")) }

    static func instance(_ symbol: String = "BTCUSDT") throws -> InstanceID {
        InstanceID(step: try #require(StepID(step)), instance: symbol)
    }

    /// A queue of one step without topics.
    static func new(
        _ letter: String, symbols: [String] = ["BTCUSDT"], locks: [String] = [], key: String? = nil,
        hash: String = "hash"
    ) throws -> NewQueue {
        var work = PlannedStep(
            id: try #require(StepID(step)), target: .dummyService, type: "dummy", interval: nil)
        work.locks = locks.compactMap(ResourceName.init)
        return NewQueue(
            queueID: try id(letter),
            plan: Plan(symbols: symbols, timeRange: "2024-08-01:2024-08-01", steps: [work]),
            request: .object([:]), asOf: 1, traceparent: nil, idempotencyKey: key, requestHash: hash)
    }

    /// Creates such a queue and leaves its first look to others.
    @discardableResult
    func create(_ letter: String, symbols: [String] = ["BTCUSDT"]) async throws -> QueueID {
        let queue = try Self.new(letter, symbols: symbols)
        _ = try await storage.create([queue], look: nil)
        return queue.queueID
    }

    /// Creates queues that are looked at in the same transaction.
    func create(
        _ queues: [NewQueue], token: String = "create", claimsMax: Int = 8,
        _ work: @escaping @Sendable (inout QueueState, LookFacts) -> LookPlan
    ) async throws -> CreationReport {
        let look = CreationLook(
            token: token, claimsMax: claimsMax, eventPartition: { _ in Self.partition },
            work: { queue, facts, _ in work(&queue, facts) })
        return try await storage.create(queues, look: look)
    }

    /// Creates a queue with an attempt of each instance, each told to stop; it is looked at on request only.
    func createStopped(_ letter: String, symbols: [String] = ["BTCUSDT"]) async throws -> QueueID {
        let id = try await create(letter, symbols: symbols)
        _ = try await look(.due(limit: 1, token: "create")) { queue, facts in
            let context = Self.context(facts)
            queue.apply(.begin, context)
            for id in queue.plan.instances {
                queue.apply(.createAttempt(id, ControlPosition(partition: 0, offset: 0)), context)
                queue.apply(.input(.cancel(reason: "stop"), id, stop: "stop"), context)
            }
            return .rest()
        }
        return id
    }

    static func context(_ facts: LookFacts) -> OperationContext {
        OperationContext(
            now: facts.now, policy: EnginePolicy(), blindMilliseconds: facts.blindMilliseconds, jitter: 0,
            token: "look")
    }

    // MARK: Looks

    /// The partition that the events of all queues of a stage go to.
    static let partition: Int32 = 1

    func look(
        _ selection: LookSelection,
        _ work: @escaping @Sendable (inout QueueState, LookFacts) -> LookPlan = { _, _ in .hold() }
    ) async throws -> [LookResult] {
        let request = LookRequest(selection) { _ in Self.partition }
        return try await storage.look(request) { queue, facts, _ in work(&queue, facts) }
    }

    /// Claims everything that is due.
    func lookDue(_ token: String, limit: Int = 8) async throws -> [QueueID] {
        try await look(.due(limit: limit, token: token)).map(\.claim.queueID)
    }

    /// Shows a queue and what is known of its partition, as a look sees them.
    func show(_ id: QueueID) async throws -> (queue: QueueState, facts: LookFacts) {
        try await storage.requestLook(at: id)
        let seen = Recorded<(QueueState, LookFacts)>()
        _ = try await look(.due(limit: 8, token: "show")) { queue, facts in
            if queue.queueID == id { seen.append((queue, facts)) }
            return .rest(nil)
        }
        return try #require(seen.all.first)
    }

    // MARK: Events

    func renew(
        _ owner: String, caughtUp: [Int32] = [], upTo: Int64 = 0
    ) async throws -> PartitionRenewal {
        try await storage.renewPartitions(count: 3, owner: owner, caughtUp: caughtUp, upTo: upTo)
    }

    func event(
        _ id: QueueID, _ status: QueueEvent.Status, seq: Int64, symbol: String = "BTCUSDT"
    ) throws -> QueueEvent {
        QueueEvent(
            status: status, queueID: id, step: try Self.instance().step, instance: symbol, attempt: 1,
            seq: seq,
            producer: "p", workerID: "w", symbol: symbol, type: "dummy", message: "m", timestamp: 1)
    }

    func apply(
        _ batches: [EventBatch], owner: String = "one", look: EventLook? = nil
    ) async throws -> ApplyReport {
        try await storage.apply(batches, owner: owner, look: look) { queue, event, facts in
            queue.apply(
                event,
                OperationContext(
                    now: facts.now, policy: EnginePolicy(), blindMilliseconds: facts.blindMilliseconds,
                    jitter: 0))
        }
    }

    /// Consecutive events from `offset` on; nil stands for what is no event.
    static func batch(
        _ events: [QueueEvent?], at offset: Int64 = 0, of partition: Int32 = Self.partition
    ) -> EventBatch {
        EventBatch(
            from: OwnedPartition(partition: partition, nextOffset: offset),
            events: events.enumerated().map {
                ReadEvent(offset: offset + Int64($0.offset), event: $0.element)
            },
            nextOffset: offset + Int64(events.count))
    }

    // MARK: Commands

    /// Dispatches once; tells what was sent as `letter/number`.
    func dispatch(limit: Int = 100) async throws -> [String] {
        let sent = Recorded<String>()
        let count = try await storage.dispatch(limit: limit) { commands in
            for command in commands {
                sent.append("\(command.queueID.rawValue.suffix(1))/\(command.commandSeq)")
            }
        }
        #expect(count == sent.all.count)
        return sent.all
    }
}

extension LookPlan {
    /// Something is to be done outside: the queue stays claimed.
    static func hold() -> LookPlan {
        var plan = LookPlan()
        plan.effects = [.createTopics]
        return plan
    }

    /// Nothing is to be done before `milliseconds` are over; nil: before somebody asks.
    static func rest(_ milliseconds: Int64? = nil) -> LookPlan {
        var plan = LookPlan()
        plan.lookAgain = milliseconds
        return plan
    }
}
