import Logging
import MarketData
import PostgresBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// Schedules and backfills over a real database, with queues that are really created and a clock that tests
/// move. What queues do is left to the test.
struct PlannedFixture: Sendable {
    let pool: PostgresPool
    let engine: EngineStore
    let schedules: ScheduleStore
    let backfills: BackfillStore
    let starter: QueueStarter
    let offset = Mutable<Int64>(0)
    /// Start requests that reached the engine, by key.
    let asked = Recorded<String>()
    let stopped = Recorded<QueueID>()
    let isExchangeAway = Mutable(false)
    /// The queue is created, and then its creator dies before it hears of it.
    let losesReplies = Mutable(false)
    private let observer = ScheduleObserver(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, factory: PrometheusRegistry())
    private let engineObserver = EngineObserver(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, factory: PrometheusRegistry())

    /// 2033-05-18, the exchange's day.
    private static let exchangeTime: Int64 = 2_000_000_000_000

    init(_ pool: PostgresPool) async throws {
        self.pool = pool
        engine = EngineStore(pool)
        try await engine.migrate()
        let (offset, asked, stopped) = (offset, asked, stopped)
        let (isExchangeAway, losesReplies) = (isExchangeAway, losesReplies)
        let clock = DatabaseClock(offsetMilliseconds: { offset.value })
        schedules = ScheduleStore(pool, clock: clock)
        backfills = BackfillStore(pool, clock: clock)
        let start = StartQueue(
            store: engine, templates: TemplateStore(pool), models: ModelPins(store: ModelStore(pool)),
            catalog: SymbolCatalog { symbols in
                if isExchangeAway.value { throw FixtureError(detail: "the exchange is away") }
                return SymbolCatalog.Answer(
                    unknown: symbols.filter { $0.rawValue == "NOPEUSDT" }, serverTime: Self.exchangeTime)
            }, newTraceparent: { "00-00000000000000000000000000000001-0000000000000001-01" },
            clock: { Self.exchangeTime }, observe: engineObserver,
            create: { [engine] in try await engine.create($0) })
        let real = QueueStarter(start, store: engine, reconcile: Wakeups())
        starter = QueueStarter(
            start: { body, key in
                asked.append(key)
                let queue = try await real.start(body, key)
                if losesReplies.value { throw FixtureError(detail: "the reply was lost") }
                return queue
            }, plan: real.plan, validate: real.validate,
            stop: { queue in
                stopped.append(queue)
                try await real.stop(queue)
            })
    }

    func scheduleService(_ replica: String = "one") -> ScheduleService {
        ScheduleService(
            store: schedules, starter: starter, wakeups: Wakeups(), replica: replica, observe: observer,
            observeLoop: engineObserver)
    }

    func backfillService(_ replica: String = "one") -> BackfillService {
        BackfillService(
            store: backfills, starter: starter, wakeups: Wakeups(), replica: replica, observe: observer,
            observeLoop: engineObserver)
    }

    /// Puts the clock to a time of UTC.
    func setClock(_ text: String) async throws {
        let time = try #require(UTCText.parse(text)) * 1_000
        offset.value += time - (try await schedules.now())
    }

    func advance(seconds: Int64) { offset.value += seconds * 1_000 }

    /// Looks at schedules until none is due; more than enough looks fail the test.
    func settleSchedules(_ replica: String = "one") async throws {
        let service = scheduleService(replica)
        for _ in 0..<200 where try await service.round() == 0 { return }
        throw FixtureError(detail: "schedules do not come to rest")
    }

    func settleBackfills(_ replica: String = "one") async throws {
        let service = backfillService(replica)
        for _ in 0..<400 where try await service.round() == 0 { return }
        throw FixtureError(detail: "backfills do not come to rest")
    }

    /// Ends the lease of a replica that died holding it, instead of waiting for it.
    func expireClaims() async throws {
        for table in ["schedules", "backfills"] {
            try await pool.execute(
                "UPDATE streamforge.\(raw: table) SET claim_until = now() - interval '1 second'")
        }
    }

    func queueIDs() async throws -> [QueueID] {
        try await pool.execute("SELECT queue_id FROM streamforge.queues ORDER BY created_at, queue_id").map {
            try $0.queueID("queue_id")
        }
    }

    /// What the engine would do when all is done.
    func end(_ queue: QueueID, _ status: QueueStatus = .finished, reason: String? = nil) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.queues SET status = \(status.rawValue), reason = \(optional: reason)
            WHERE queue_id = \(queue.rawValue)
            """)
    }

    func status(_ queue: QueueID) async throws -> QueueStatus? { try await engine.queue(queue)?.queue.status }

    func spec(_ fields: [String: JSONValue] = [:]) throws -> ScheduleSpec {
        let base: [String: JSONValue] = [
            "cron": .string("* * * * *"),
            "request": .object([
                "symbol": .string("BTCUSDT"), "type": .string("api_candles_1h"),
                "time_range": .string("${schedule.day-1}:${schedule.day-1}"),
            ]),
        ]
        return try ScheduleSpec(
            ObjectReader(.object(base.merging(fields) { $1 }), path: "", known: ScheduleSpec.fields))
    }

    func backfillSpec(_ fields: [String: JSONValue] = [:]) throws -> BackfillSpec {
        let base: [String: JSONValue] = [
            "time_range": .string("2024-01-01:2024-01-05"), "shard_days": .integer(1),
            "parallelism": .integer(2),
            "request": .object(["symbol": .string("BTCUSDT"), "type": .string("api_candles_1h")]),
        ]
        return try BackfillSpec(
            ObjectReader(.object(base.merging(fields) { $1 }), path: "", known: BackfillSpec.fields))
    }

    /// Oldest first, as `minute outcome`.
    func outcomes(_ name: ObjectName) async throws -> [String] {
        try await schedules.firings(of: name, before: nil, limit: 200).reversed().map {
            "\(UTCText.seconds($0.fireTime).dropFirst(11).prefix(5)) \($0.state.rawValue)"
        }
    }
}
