import PostgresBridge
import Workflow

/// The shared budgets in PostgreSQL (`streamforge.exchange_budgets`, `streamforge.exchange_leases`).
///
/// One budget is one row; whoever changes it holds its lock for two short round trips. The decisions are
/// ``WeightBudget``'s, time is the database's clock. A role that may read and write these two tables is enough.
package struct BudgetStore: Sendable {
    /// Which budget: those who go out by one address and ask one exchange share it.
    package struct Key: Sendable, Hashable {
        package var egress: String
        /// The exchange's base URL.
        package var exchange: String

        package init(egress: String, exchange: String) {
            self.egress = egress
            self.exchange = exchange
        }

        /// The same exchange under the same name, with and without a slash at the end of its URL.
        package static func exchange(of url: String) -> String {
            var url = url[...]
            while url.hasSuffix("/") { url.removeLast() }
            return String(url)
        }
    }

    /// Who asks; the name is its own for each process.
    package struct Loader: Sendable, Hashable {
        package var name: String
        package var queueID: String
        package var step: String
        package var instance: String
        package var attempt: Int

        package init(name: String, queueID: String, step: String, instance: String, attempt: Int) {
            self.name = name
            self.queueID = queueID
            self.step = step
            self.instance = instance
            self.attempt = attempt
        }
    }

    /// Whether the budget can be used at all.
    package enum Readiness: Sendable, Equatable {
        case ready
        /// The tables are not there, or this role may not use them; in the server's words.
        case unusable(String)
        /// The server does not answer now.
        case away(String)
    }

    private let pool: PostgresPool
    /// Added to the database's clock, milliseconds: for tests, which need not live through a window.
    private let clockShift: @Sendable () -> Int64

    package init(_ pool: PostgresPool, clockShift: @escaping @Sendable () -> Int64 = { 0 }) {
        self.pool = pool
        self.clockShift = clockShift
    }

    /// How a loader's connections behave: few, and given up soon, as it can go on for a while without.
    package static func configuration(
        _ currentURL: @escaping @Sendable () -> PostgresURL
    ) -> PostgresConfiguration {
        var configuration = PostgresConfiguration(
            currentURL: currentURL, applicationName: "exchange-budget", connectionsMax: 1)
        configuration.connectTimeout = .seconds(2)
        configuration.acquireTimeout = .seconds(3)
        configuration.statementTimeout = .seconds(5)
        return configuration
    }

    package func readiness() async -> Readiness {
        do throws(PostgresError) {
            try await pool.execute(
                """
                SELECT 1 FROM streamforge.exchange_budgets b
                LEFT JOIN streamforge.exchange_leases l USING (egress, exchange) LIMIT 0
                """)
            return .ready
        } catch {
            let isMissing = error.sqlState == .undefinedTable || error.sqlState == .unknownSchema
            if isMissing || error.sqlState == .insufficientPrivilege || error.isRefusedLogin {
                return .unusable("\(error)")
            }
            return .away("\(error)")
        }
    }

    /// Applies what a loader tells and asks.
    ///
    /// - Parameters:
    ///   - limits: as this loader is configured.
    ///   - loaderNow: the loader's own clock, milliseconds.
    /// - Throws: ``PostgresError``; then it is not known whether it was applied. Asking again is safe: reports are
    ///   totals, and a grant that was lost comes back when the window ends.
    package func apply(
        _ request: LeaseRequest, to key: Key, from loader: Loader, limits: WeightBudget.Limits,
        loaderNow: @Sendable () -> Int64
    ) async throws -> BudgetAction {
        try await pool.withTransaction { transaction in
            let from = loaderNow()
            let (stored, time) = try await Self.lock(key, transaction)
            let to = loaderNow()
            var budget = stored
            budget.limits = limits
            let now = time + clockShift()
            let action = budget.apply(request, from: loader.name, now: now, loaderTime: (from, to))
            try await transaction.execute(Self.changes(from: stored, to: budget, key, loader, now: now))
            return action
        }
    }

    /// All budgets as they were left, with the database's time.
    package func budgets() async throws -> [BudgetView] {
        let results = try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) {
            try await $0.execute([
                "SELECT \(raw: BudgetRow.columns) FROM streamforge.exchange_budgets ORDER BY egress, exchange",
                """
                SELECT \(raw: LeaseRow.columns) FROM streamforge.exchange_leases
                ORDER BY egress, exchange, queue_id, step, instance, attempt, holder LIMIT 10000
                """,
                "SELECT \(raw: Self.time) AS now",
            ])
        }
        guard let now = try results[2].first?["now", as: Int64.self] else { return [] }
        let leases = try results[1].map { try LeaseRow($0) }
        return try results[0].map { row in
            let stored = try BudgetRow(row)
            let own = leases.filter { $0.key == stored.key }
            return BudgetView(stored, own, now: now + clockShift())
        }
    }

    private static let time = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

    /// Locks the budget's row, which is made when it is missing, and reads all of it.
    private static func lock(
        _ key: Key, _ transaction: PostgresConnection
    ) async throws -> (WeightBudget, now: Int64) {
        let lock: PostgresQuery = """
            SELECT \(raw: BudgetRow.columns) FROM streamforge.exchange_budgets
            WHERE egress = \(key.egress) AND exchange = \(key.exchange) FOR UPDATE
            """
        let leases: PostgresQuery = """
            SELECT \(raw: LeaseRow.columns) FROM streamforge.exchange_leases
            WHERE egress = \(key.egress) AND exchange = \(key.exchange)
            """
        // The clock is read by a statement of its own, after the lock was waited for.
        let clock: PostgresQuery = "SELECT \(raw: time) AS now"
        var results = try await transaction.execute([lock, leases, clock])
        if results[0].isEmpty {
            try await transaction.execute(
                """
                INSERT INTO streamforge.exchange_budgets (egress, exchange)
                VALUES (\(key.egress), \(key.exchange)) ON CONFLICT DO NOTHING
                """)
            results = try await transaction.execute([lock, leases, clock])
        }
        guard let row = results[0].first, let now = try results[2].first?["now", as: Int64.self] else {
            throw PostgresError(.decoding, operation: "lock the budget", message: "its row is gone")
        }
        var budget = try BudgetRow(row).budget
        for lease in results[1] {
            let lease = try LeaseRow(lease)
            budget.holders[lease.loader.name] = lease.holder
        }
        return (budget, now)
    }

    private static func changes(
        from old: WeightBudget, to new: WeightBudget, _ key: Key, _ loader: Loader, now: Int64
    ) -> [PostgresQuery] {
        var queries = [BudgetRow.update(new, key)]
        for (name, holder) in new.holders where name != loader.name && holder != old.holders[name] {
            queries.append(LeaseRow.update(holder, name, key))
        }
        if let own = new.holders[loader.name] { queries.append(LeaseRow.upsert(own, loader, key)) }
        let gone = old.holders.keys.filter { new.holders[$0] == nil }
        if !gone.isEmpty {
            queries.append(
                """
                DELETE FROM streamforge.exchange_leases WHERE egress = \(key.egress)
                AND exchange = \(key.exchange) AND holder = ANY(\(gone.sorted())::text[])
                """)
        }
        return queries
    }
}
