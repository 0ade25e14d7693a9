/// What one gets who waits for a connection.
enum PoolGrant<Connection> {
    case use(Connection)
    /// Open a new one; a place is reserved.
    case open
    case closed
}

/// Who has a connection and who waits for one. Pure: event in, action out; generic so that tests can lend
/// numbers.
struct PoolState<Connection, Waiter> {
    /// What the caller of ``take(_:)`` does next.
    enum Take {
        /// Check it, then use it or say ``connectionEnded()``.
        case use(Connection)
        /// Open a new one; a place is reserved.
        case open
        case wait(id: UInt64)
        case refuse
        case closed
    }

    private let connectionsMax: Int
    private let waitersMax: Int
    private(set) var isClosed = false
    /// Connections that are open or being opened.
    private(set) var openCount = 0
    private var idle: [Connection] = []
    private var waiters: [(id: UInt64, waiter: Waiter)] = []
    private var lastID: UInt64 = 0

    init(connectionsMax: Int, waitersMax: Int) {
        precondition(connectionsMax > 0 && waitersMax >= 0, "a pool has at least one connection")
        self.connectionsMax = connectionsMax
        self.waitersMax = waitersMax
    }

    var waiterCount: Int { waiters.count }
    var idleCount: Int { idle.count }

    mutating func take() -> Take {
        if isClosed { return .closed }
        // The one used last: the others may be let go by the server's time-outs first.
        if let connection = idle.popLast() { return .use(connection) }
        if openCount < connectionsMax {
            openCount += 1
            return .open
        }
        guard waiters.count < waitersMax else { return .refuse }
        lastID += 1
        return .wait(id: lastID)
    }

    /// Enters the one who was told to wait. A connection may have come free meanwhile: then it is granted.
    mutating func enqueue(_ waiter: Waiter, id: UInt64) -> PoolGrant<Connection>? {
        if isClosed { return .closed }
        if let connection = idle.popLast() { return .use(connection) }
        if openCount < connectionsMax {
            openCount += 1
            return .open
        }
        waiters.append((id, waiter))
        return nil
    }

    /// The waiter gave up or its time is over; nil when it was served already.
    mutating func removeWaiter(_ id: UInt64) -> Waiter? {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return nil }
        return waiters.remove(at: index).waiter
    }

    /// A usable connection came back. It goes to the first waiter, or rests.
    ///
    /// - Returns: the waiter to wake with it; `isClosed` tells whether to close it instead.
    mutating func giveBack(_ connection: Connection) -> Waiter? {
        if isClosed {
            openCount -= 1
            return nil
        }
        if waiters.isEmpty {
            idle.append(connection)
            return nil
        }
        return waiters.removeFirst().waiter
    }

    /// A connection ended or could not be opened. Its place goes to the first waiter, to open a new one.
    mutating func connectionEnded() -> Waiter? {
        openCount -= 1
        guard !isClosed, !waiters.isEmpty else { return nil }
        openCount += 1
        return waiters.removeFirst().waiter
    }

    mutating func close() -> (idle: [Connection], waiters: [Waiter]) {
        isClosed = true
        openCount -= idle.count
        defer {
            idle = []
            waiters = []
        }
        return (idle, waiters.map(\.waiter))
    }
}
