import ServiceLifecycle

/// Looks at the rows of a table that are due. Any number of replicas run it: a row is claimed for a few
/// seconds, and what a look starts is idempotent, so that nothing is started twice.
package protocol RowService: Service {
    /// Names the loop in what is reported of it.
    static var loopName: String { get }
    /// Rows looked at side by side.
    static var parallelMax: Int { get }

    var claims: RowClaims { get }
    /// A row was changed here: look now.
    var wakeups: Wakeups { get }
    /// Names this replica's claims.
    var replica: String { get }
    var observe: ScheduleObserver { get }
    /// For what goes wrong in the loop itself.
    var observeLoop: EngineObserver { get }

    /// Does what is due for one row.
    ///
    /// - Returns: when to look again, in Unix milliseconds; nil: only when somebody asks.
    /// - Throws: ``ClaimLost`` when another replica has the row meanwhile.
    func look(at claim: RowClaim) async throws -> Int64?
}

extension RowService {
    package func run() async throws {
        await loop(Self.loopName, observe: observeLoop) {
            guard try await round() == 0 else { return }
            // Together with the lease of a claim, this bounds how late a look can be when a replica dies.
            let wait = try await claims.millisecondsToNextLook(limit: 1_000)
            await wakeups.wait(atMost: .milliseconds(max(wait, 5)))
        }
    }

    /// Looks once at every row that is due; also what tests call.
    ///
    /// - Returns: how many that were.
    @discardableResult
    package func round() async throws -> Int {
        let token = "\(replica)/\(UInt64.random(in: .min ... .max))"
        let due = try await claims.claim(limit: Self.parallelMax, token: token)
        await withTaskGroup(of: Void.self) { group in
            for claim in due { group.addTask { await lookAndRelease(claim) } }
        }
        return due.count
    }

    /// A claim that is not given back after an error runs out by itself.
    private func lookAndRelease(_ claim: RowClaim) async {
        do {
            let next = try await look(at: claim)
            try await claims.release(claim, lookAt: next)
        } catch is CancellationError {
            return
        } catch is ClaimLost {
            observe(.claimLost(owner: claim.key))
        } catch {
            observe(.lookFailed(owner: claim.key, error: "\(error)"))
        }
    }
}
