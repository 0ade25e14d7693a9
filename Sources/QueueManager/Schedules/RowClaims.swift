import PostgresBridge

/// The time of schedules and backfills: the database's clock, which tests may put forward.
package struct DatabaseClock: Sendable {
    /// Milliseconds added to the database's clock; 0 but in tests.
    package var offsetMilliseconds: @Sendable () -> Int64

    package init(offsetMilliseconds: @escaping @Sendable () -> Int64 = { 0 }) {
        self.offsetMilliseconds = offsetMilliseconds
    }

    /// Unix milliseconds as an SQL expression; fixed within a transaction, so that an index can be used.
    func sql() -> String { "((extract(epoch FROM now()) * 1000)::bigint + \(offsetMilliseconds()))" }
}

/// A row that one service holds for a short time; every write of it carries the token.
package struct RowClaim: Sendable, Hashable {
    package var key: String
    package var token: String
    /// Tells whether somebody asked for another look meanwhile.
    var lookVersion: Int64
}

/// Shares the rows of a table among the replicas: claimed by row lock, held by a short lease.
///
/// The table has `look_at` (Unix milliseconds; null: only when asked), `look_version`, `claim_token` and
/// `claim_until`. A lease is measured by the database's real clock.
package struct RowClaims: Sendable {
    /// A replica that dies holds a row up for no longer; one that is slow is harmless, as starts are
    /// idempotent and writes prove the claim.
    static let leaseSeconds = 2

    let pool: PostgresPool
    /// Constants of the program.
    let table: String
    let keyColumn: String
    let clock: DatabaseClock

    /// Claims rows that want to be looked at, the longest due first.
    func claim(limit: Int, token: String) async throws -> [RowClaim] {
        let rows = try await pool.execute(
            """
            WITH due AS (
                SELECT \(raw: keyColumn) AS key FROM \(raw: table)
                WHERE look_at <= \(raw: clock.sql()) AND (claim_until IS NULL OR claim_until < now())
                ORDER BY look_at LIMIT \(limit) FOR UPDATE SKIP LOCKED)
            UPDATE \(raw: table) t SET claim_token = \(token),
                claim_until = now() + make_interval(secs => \(Self.leaseSeconds)::int)
            FROM due WHERE t.\(raw: keyColumn) = due.key RETURNING due.key, t.look_version
            """)
        return try rows.map {
            RowClaim(
                key: try $0["key", as: String.self], token: token,
                lookVersion: try $0["look_version", as: Int64.self])
        }
    }

    /// Gives the row back and says when to look again: Unix milliseconds, nil only when somebody asks.
    func release(_ claim: RowClaim, lookAt: Int64?) async throws {
        try await pool.execute(
            """
            UPDATE \(raw: table) SET claim_token = NULL, claim_until = NULL,
            look_at = CASE WHEN look_version = \(claim.lookVersion) THEN \(optional: lookAt)::bigint
                ELSE look_at END
            WHERE \(raw: keyColumn) = \(claim.key) AND claim_token = \(claim.token)
            """)
    }

    /// Locks the row for the rest of the transaction and renews the claim.
    ///
    /// - Throws: ``ClaimLost`` when another holds it now, or the row is gone.
    func prove(_ claim: RowClaim, _ transaction: PostgresConnection) async throws {
        let result = try await transaction.execute(
            """
            UPDATE \(raw: table) SET claim_until = now() + make_interval(secs => \(Self.leaseSeconds)::int)
            WHERE \(raw: keyColumn) = \(claim.key) AND claim_token = \(claim.token)
            """)
        guard result.affectedRows == 1 else { throw ClaimLost() }
    }

    /// Milliseconds until some row wants to be looked at, at most `limit`.
    func millisecondsToNextLook(limit: Int64) async throws -> Int64 {
        let rows = try await pool.execute(
            """
            SELECT coalesce(min(greatest(look_at - \(raw: clock.sql()),
                (extract(epoch FROM claim_until - now()) * 1000)::bigint)), \(limit)) AS wait
            FROM (SELECT look_at, claim_until FROM \(raw: table) WHERE look_at IS NOT NULL
                ORDER BY look_at LIMIT 100) AS first
            """)
        let wait = try rows.first?["wait", as: Int64.self] ?? limit
        return min(max(wait, 0), limit)
    }
}

/// The claim of a row was lost to another replica: whatever was planned is void.
package struct ClaimLost: Error, Sendable, Equatable {}
