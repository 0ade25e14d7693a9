import Synchronization

/// The queues that a reconciler holds, and the room that looks under way may still fill.
struct ClaimTable: Sendable {
    /// Queues whose effects are carried out side by side.
    let claimsMax: Int
    private(set) var claims: Set<QueueClaim> = []
    private var reserved = 0

    init(claimsMax: Int) {
        self.claimsMax = claimsMax
    }

    var room: Int { max(claimsMax - claims.count - reserved, 0) }

    /// Keeps room for a look that may claim this many queues.
    ///
    /// - Parameter spared: room that is left to others.
    /// - Returns: how many it may claim, to be settled after the look, whatever came of it.
    mutating func reserve(_ wanted: Int, sparing spared: Int = 0) -> Int {
        let granted = min(wanted, max(room - spared, 0))
        reserved += granted
        return granted
    }

    /// A look that had reserved room has claimed these.
    mutating func settle(_ granted: Int, _ taken: some Sequence<QueueClaim>) {
        reserved -= granted
        claims.formUnion(taken)
    }

    mutating func remove(_ claim: QueueClaim) { claims.remove(claim) }
}

/// What changes while a ``Reconciler`` runs.
final class ReconcilerState: Sendable {
    typealias Carrier = Reconciler.Carrier

    private struct Values {
        var controlEnds: [Int64]?
        var claims: ClaimTable
        var looks: UInt64 = 0
        var carrier: Carrier?
    }

    private let values: Mutex<Values>

    init(claimsMax: Int) {
        values = Mutex(Values(claims: ClaimTable(claimsMax: claimsMax)))
    }

    /// The ends of queue-control's partitions, as last told by the broker; nil while it does not answer.
    var controlEnds: [Int64]? {
        get { values.withLock { $0.controlEnds } }
        set { values.withLock { $0.controlEnds = newValue } }
    }

    var claims: Set<QueueClaim> { values.withLock { $0.claims.claims } }
    var hasRoom: Bool { values.withLock { $0.claims.room > 0 } }

    /// Who carries out what ``Reconciler/create(_:)`` claims; nil: nobody, and it claims nothing.
    func setCarrier(_ carrier: Carrier?) { values.withLock { $0.carrier = carrier } }
    var carrier: Carrier? { values.withLock { $0.carrier } }

    /// Room for a look at queues that are due, and the number of the look.
    func reserve(_ wanted: Int) -> (claims: Int, number: UInt64) {
        values.withLock { values in
            values.looks += 1
            return (values.claims.reserve(wanted), values.looks)
        }
    }

    /// The same for the creation of queues, which leaves room to those that are due.
    func reserveForCreation(_ wanted: Int) -> (claims: Int, number: UInt64) {
        values.withLock { values in
            values.looks += 1
            guard values.carrier != nil else { return (0, values.looks) }
            return (values.claims.reserve(wanted, sparing: values.claims.claimsMax / 2), values.looks)
        }
    }

    /// - Returns: whether there was no room before.
    @discardableResult
    func settle(_ granted: Int, _ taken: [QueueClaim]) -> Bool {
        values.withLock { values in
            let wasFull = values.claims.room == 0
            values.claims.settle(granted, taken)
            return wasFull
        }
    }

    /// - Returns: whether there was no room before.
    func remove(_ claim: QueueClaim) -> Bool {
        values.withLock { values in
            let wasFull = values.claims.room == 0
            values.claims.remove(claim)
            return wasFull
        }
    }
}
