import PostgresBridge
import Synchronization
import TestSupport
import Testing
import Workflow

@testable import ExchangeBudget
@testable import QueueManager

/// An exchange that counts, in virtual time that runs `speed` times as fast and is far from ours.
private final class CountingExchange: Sendable {
    static let windowMilliseconds: Int64 = 60_000
    let speed: Int64
    private let start = ContinuousClock.now
    private let counts = Mutex<[Int64: Int]>([:])
    /// Unix milliseconds at the start: 20 s into a window, minutes from this machine's clock.
    private let epoch: Int64 = 1_700_000_000_000 / 60_000 * 60_000 + 20_000

    init(speed: Int64) { self.speed = speed }

    /// Virtual milliseconds since the start.
    var elapsed: Int64 { (ContinuousClock.now - start).wholeMilliseconds * speed }
    private var time: Int64 { epoch + elapsed }

    func request(_ weight: Int) -> BudgetAnswer {
        let now = time
        let used = counts.withLock { counts in
            counts[now / Self.windowMilliseconds, default: 0] += weight
            return counts[now / Self.windowMilliseconds] ?? 0
        }
        return BudgetAnswer(
            .data, reading: WeightReading(usedWeight: used, windowSeconds: 60, serverSeconds: now / 1_000),
            serverSeconds: now / 1_000)
    }

    var counted: [Int64: Int] { counts.withLock { $0 } }
}

@Suite(.serialized, .timeLimit(.minutes(3)))
struct BudgetStoreTests {
    private static let key = BudgetStore.Key(egress: "default", exchange: "http://exchange")

    private static func limits(_ usable: Int) -> WeightBudget.Limits {
        var limits = WeightBudget.Limits()
        limits.weightMax = usable
        limits.usableShare = 1
        limits.inFlightMax = 2
        return limits
    }

    private static func loader(_ name: String) -> BudgetStore.Loader {
        BudgetStore.Loader(name: name, queueID: "wf-test-abc123", step: "load", instance: name, attempt: 1)
    }

    private static func report(at now: Int64, used: Int) -> LeaseRequest {
        var report = BudgetReport()
        report.window = now / 60_000
        report.windowSeconds = 60
        report.reading = .init(used: used, answered: 0)
        return LeaseRequest(
            report: report, clock: ServerClock(low: -1, high: 1, at: now), ask: .init(want: 50, least: 2))
    }

    /// A budget whose clock follows the exchange's virtual time, on a machine that is 7 minutes wrong.
    private static func leased(
        _ store: BudgetStore, _ name: String, _ limits: WeightBudget.Limits, _ exchange: CountingExchange
    ) -> LeasedBudget {
        let speed = exchange.speed
        return LeasedBudget(
            LeasedBudget.Ports(
                now: { exchange.elapsed }, sleep: { try await Task.sleep(for: $0 / Int(speed)) },
                exchange: { request, now in
                    try await store.apply(
                        request, to: key, from: loader(name), limits: limits, loaderNow: now)
                }), inFlightMax: limits.inFlightMax)
    }

    @Test func `eight loaders at once never exceed the limit and use most of it`() async throws {
        try await withPostgres(connectionsMax: 8) { pool in
            try await EngineStore(pool).migrate()
            let exchange = CountingExchange(speed: 30)
            let began = ContinuousClock.now
            // The database's clock, made to run as fast as the exchange's, and 7 minutes wrong.
            let store = BudgetStore(pool) {
                (ContinuousClock.now - began).wholeMilliseconds * 29 + 7 * 60_000
            }
            let limits = Self.limits(400)
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let budget = Self.leased(store, "loader\(number)", limits, exchange)
                        while exchange.elapsed < 280_000, !Task.isCancelled {
                            guard let ticket = try? await budget.take(2, waiting: { _ in }) else { return }
                            budget.settle(ticket, exchange.request(2))
                        }
                        await budget.close()
                    }
                }
            }
            let windows = exchange.counted.sorted { $0.key < $1.key }.map(\.value)
            #expect(windows.allSatisfy { $0 <= 400 }, "\(windows)")
            // The first begins late and learns; the last is cut off.
            #expect(windows.dropFirst().dropLast().allSatisfy { $0 >= 360 }, "\(windows)")
            #expect(windows.count >= 4)
        }
    }

    @Test func `a loader that is lost with a lease holds up the others for one window`() async throws {
        try await withPostgres { pool in
            try await EngineStore(pool).migrate()
            let shift = Mutex<Int64>(0)
            let store = BudgetStore(pool) { shift.withLock { $0 } }
            let limits = Self.limits(100)
            let now = try await Self.startOfWindow(pool, shift)
            let first = try await store.apply(
                Self.report(at: now, used: 0), to: Self.key, from: Self.loader("lost"), limits: limits,
                loaderNow: { now })
            #expect(first.weight == 50)
            let second = try await store.apply(
                LeaseRequest(ask: .init(want: 100, least: 2)), to: Self.key, from: Self.loader("alive"),
                limits: limits, loaderNow: { now })
            #expect(second.weight == 50)
            shift.withLock { $0 += 61_000 }
            let third = try await store.apply(
                LeaseRequest(ask: .init(want: 100, least: 2)), to: Self.key, from: Self.loader("alive"),
                limits: limits, loaderNow: { now })
            // All but what may be on its way.
            #expect(third.weight == 98)
        }
    }

    @Test func `a ban and who waits for its end are there to be seen`() async throws {
        try await withPostgres { pool in
            try await EngineStore(pool).migrate()
            let shift = Mutex<Int64>(0)
            let store = BudgetStore(pool) { shift.withLock { $0 } }
            let now = try await Self.startOfWindow(pool, shift)
            var request = Self.report(at: now, used: 77)
            request.refusal = .init(kind: .ban, milliseconds: 120_000)
            let action = try await store.apply(
                request, to: Self.key, from: Self.loader("a"), limits: Self.limits(100), loaderNow: { now })
            #expect(action.weight == nil)
            let view = try #require(try await store.budgets().first)
            #expect(view.key == Self.key)
            #expect(view.budget.reported == 77)
            #expect(view.budget.usedByOthers == 77)
            #expect(view.budget.stay?.kind == .ban)
            #expect(view.waitingCount == 1)
            #expect(view.leases.first?.loader == Self.loader("a"))
            let json = BudgetAnswerText.budget(view)
            guard case .object(let fields) = json else { throw StoredValueError(column: "", value: "") }
            #expect(fields["used"] == .integer(77))
            #expect(fields["banned_until"]?.string?.hasSuffix("Z") == true)
            #expect(fields["backing_off_until"] == .null)
        }
    }

    @Test func `the budget's role sees its tables and no other`() async throws {
        try await withPostgres { pool in
            try await EngineStore(pool).migrate()
            try await pool.withTransaction { transaction in
                try await transaction.execute("SET LOCAL ROLE streamforge_budget")
                try await transaction.execute(
                    "INSERT INTO streamforge.exchange_budgets (egress, exchange) VALUES ('e', 'x')")
                try await transaction.execute("SELECT * FROM streamforge.exchange_leases FOR UPDATE")
                try await transaction.execute("DELETE FROM streamforge.exchange_budgets")
            }
            await #expect(throws: PostgresError.self) {
                try await pool.withTransaction { transaction in
                    try await transaction.execute("SET LOCAL ROLE streamforge_budget")
                    try await transaction.execute("SELECT 1 FROM streamforge.queues")
                }
            }
        }
    }

    @Test func `a user that may not create roles can migrate all the same`() async throws {
        try await withPostgres { pool in
            let user = "owner_\(UInt32.random(in: 0...UInt32.max))"
            try await pool.execute("CREATE ROLE \(identifier: user) NOLOGIN")
            try await pool.execute("CREATE SCHEMA streamforge AUTHORIZATION \(identifier: user)")
            try await pool.withConnection { connection in
                try await connection.execute("SET ROLE \(identifier: user)")
                for migration in EngineSchema.migrations {
                    try await connection.executeScript(migration.sql)
                }
                try await connection.execute("RESET ROLE")
            }
            #expect(await BudgetStore(pool).readiness() == .ready)
            try await pool.execute("DROP OWNED BY \(identifier: user)")
            try await pool.execute("DROP ROLE \(identifier: user)")
        }
    }

    @Test func `a database without the budget is told from one that is away`() async throws {
        try await withPostgres { pool in
            guard case .unusable = await BudgetStore(pool).readiness() else {
                Issue.record("a database without tables was ready")
                return
            }
        }
        let nowhere = PostgresURL(host: "127.0.0.1", port: 1, database: "x", user: "x", password: nil)
        let pool = PostgresPool(BudgetStore.configuration { nowhere })
        guard case .away = await BudgetStore(pool).readiness() else {
            Issue.record("nobody listens there")
            return
        }
        await pool.close()
    }

    /// Shifts the budget's clock to 10 s into a window.
    ///
    /// - Returns: that time, Unix milliseconds.
    private static func startOfWindow(_ pool: PostgresPool, _ shift: borrowing Mutex<Int64>) async throws
        -> Int64
    {
        let rows = try await pool.execute(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now")
        let now = try #require(try rows.first?["now", as: Int64.self])
        let wanted = (now / 60_000 + 1) * 60_000 + 10_000
        shift.withLock { $0 = wanted - now }
        return wanted
    }
}

extension BudgetAction {
    fileprivate var weight: Int? { if case .grant(let grant) = self { grant.weight } else { nil } }
}
