import PostgresBridge
import Workflow

/// What became of a try to settle a letter.
package enum DeadLetterOutcome: Sendable, Hashable {
    case unknown
    /// Somebody else is at it just now.
    case busy
    /// It was settled before; nothing was done.
    case settledBefore(DeadLetter)
    case settled(DeadLetter)
    /// It stays open, with the new reason.
    case refused(DeadLetter)
}

extension DeadLetterStore {
    enum Verdict: Sendable {
        case replayed(edited: [UInt8]?)
        case discarded
        case refused(reason: String)
    }

    /// Settles an open letter as `decide` says, with an event in the queue's history.
    ///
    /// The letter's row stays locked meanwhile, so that it is not replayed and discarded at once. The queue's
    /// row is locked only in the end: `decide` may take as long as the document store does.
    func settle(
        _ number: Int64, of queueID: QueueID, actor: String,
        _ decide: (DeadLetter, Plan) async throws -> Verdict
    ) async throws -> DeadLetterOutcome {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                SELECT \(raw: DeadLetter.columns), (SELECT q.plan::text FROM streamforge.queues q
                    WHERE q.queue_id = dead_letters.queue_id) AS plan
                FROM streamforge.dead_letters WHERE queue_id = \(queueID.rawValue) AND letter = \(number)
                FOR UPDATE SKIP LOCKED
                """)
            guard let row = rows.first else {
                return try await Self.isThere(number, queueID, transaction) ? .busy : .unknown
            }
            let letter = try DeadLetter(row)
            guard letter.state == .open else { return .settledBefore(letter) }
            let plan = try MessageCodec.decode(Plan.self, fromText: try row["plan", as: String.self])
            return try await Self.carryOut(decide(letter, plan), letter, actor: actor, transaction)
        }
    }

    private static func carryOut(
        _ verdict: Verdict, _ letter: DeadLetter, actor: String, _ transaction: PostgresConnection
    ) async throws -> DeadLetterOutcome {
        let queueID = letter.queueID.rawValue
        let state: DeadLetter.State
        var edited: [UInt8]?
        switch verdict {
        case .refused(let reason):
            let changed = try await transaction.execute(
                """
                UPDATE streamforge.dead_letters SET reason = \(reason)
                WHERE queue_id = \(queueID) AND letter = \(letter.number) RETURNING \(raw: DeadLetter.columns)
                """)
            return .refused(try changed.first.map { try DeadLetter($0) } ?? letter)
        case .replayed(let value): (state, edited) = (.replayed, value)
        case .discarded: state = .discarded
        }
        let results = try await transaction.execute([
            """
            UPDATE streamforge.dead_letters SET state = \(state.rawValue), settled_at = now(),
            settled_by = \(actor), edited_value = \(optional: edited)
            WHERE queue_id = \(queueID) AND letter = \(letter.number) RETURNING \(raw: DeadLetter.columns)
            """,
            try EngineStore.historyInsert(
                queueID, kind: "dead_letter_\(state.rawValue)", actor: actor, id: letter.id,
                detail: [
                    "letter": .integer(letter.number), "key": .string(letter.key),
                    "is_edited": .bool(edited != nil),
                ]),
        ])
        return .settled(try results[0].first.map { try DeadLetter($0) } ?? letter)
    }

    private static func isThere(
        _ number: Int64, _ queueID: QueueID, _ transaction: PostgresConnection
    ) async throws -> Bool {
        try await !transaction.execute(
            """
            SELECT 1 FROM streamforge.dead_letters
            WHERE queue_id = \(queueID.rawValue) AND letter = \(number)
            """
        ).isEmpty
    }
}
