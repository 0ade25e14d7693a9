/// Which statements a connection has prepared. Pure: it only remembers names.
struct StatementCache {
    /// How to send a statement.
    enum Plan: Equatable {
        /// Prepare it under this name, then run it.
        case prepare(name: String)
        case usePrepared(name: String)
        /// Send its text: it is not worth a name, or a name for it is on its way in another group.
        case sendText
    }

    private enum Entry {
        /// Sent in this group of a pipeline; it fails with the group if something before it fails.
        case pending(name: String, group: Int)
        case ready(name: String)
    }

    private let entriesMax: Int
    private var entries: [String: Entry] = [:]
    private var namesMade = 0
    /// All prepared statements are to be dropped before the next use.
    private(set) var isStale = false

    init(entriesMax: Int) {
        self.entriesMax = entriesMax
    }

    /// Full, or out of date: time to begin anew between two uses of the connection.
    var needsReset: Bool { isStale || entries.count >= entriesMax }

    mutating func plan(_ query: PostgresQuery, group: Int) -> Plan {
        switch entries[query.sql] {
        case .ready(let name): return .usePrepared(name: name)
        case .pending(let name, group): return .usePrepared(name: name)
        case .pending: return .sendText
        case nil:
            guard entries.count < entriesMax, !isStale, query.isWorthPreparing else { return .sendText }
            namesMade += 1
            let name = "s\(namesMade)"
            entries[query.sql] = .pending(name: name, group: group)
            return .prepare(name: name)
        }
    }

    mutating func prepared(_ sql: String, name: String, succeeded: Bool) {
        entries[sql] = succeeded ? .ready(name: name) : nil
    }

    /// The server lost a plan or will not follow it, e.g. because a table changed its columns.
    mutating func markStale() {
        isStale = true
    }

    mutating func reset() {
        entries.removeAll()
        isStale = false
    }
}
