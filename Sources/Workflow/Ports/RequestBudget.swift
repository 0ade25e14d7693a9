/// The weight that may be spent on requests to the exchange.
///
/// The limit is the address's, not the process's: behind this stand a budget that all loaders of an egress share
/// and one of a single process.
package protocol RequestBudget: Sendable {
    /// Waits until one request of `weight` may be sent, and books it.
    ///
    /// - Parameters:
    ///   - weight: as the exchange counts it, 1 or more.
    ///   - waiting: told at the beginning of each wait; must not block.
    /// - Returns: to be given back once with ``settle(_:_:)``, whatever becomes of the request.
    /// - Throws: `CancellationError` at once when the task is cancelled; ``BudgetError`` when nothing came free
    ///   within the budget's own limit.
    func take(_ weight: Int, waiting: @Sendable (BudgetWait) -> Void) async throws -> BudgetTicket

    /// Learns what became of a request, as soon as its answer is there.
    func settle(_ ticket: BudgetTicket, _ answer: BudgetAnswer)

    /// Gives back what is held; nothing is taken afterwards. Bounded.
    func close() async
}

/// Weight booked for one request.
package struct BudgetTicket: Sendable, Equatable {
    package var weight: Int
    /// When it was booked, by the budget's own clock.
    package var takenAt: Duration
    /// The exchange's window it was booked in; nil when none is known.
    package var window: Int64?

    package init(weight: Int, takenAt: Duration = .zero, window: Int64? = nil) {
        self.weight = weight
        self.takenAt = takenAt
        self.window = window
    }
}

/// What became of a request.
package struct BudgetAnswer: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        /// It was not sent after all.
        case unsent
        /// No whole answer: the exchange may or may not have counted it.
        case unknown
        /// An answer with data.
        case data
        /// An answer of another kind: an error of the request or of the server.
        case error
        /// 429 (or a firewall's 403): stay away so long.
        case backOff(Duration)
        /// 418: banned for so long.
        case banned(Duration)
    }

    package var outcome: Outcome
    /// The exchange's count, where the answer has one.
    package var reading: WeightReading?
    /// The `Date` of the answer in Unix seconds, where it has one.
    package var serverSeconds: Int64?

    package init(_ outcome: Outcome, reading: WeightReading? = nil, serverSeconds: Int64? = nil) {
        self.outcome = outcome
        self.reading = reading
        self.serverSeconds = serverSeconds
    }
}

/// The exchange's count in one answer: header `X-MBX-USED-WEIGHT-1M: 42` and `Date`.
package struct WeightReading: Sendable, Equatable {
    package var usedWeight: Int
    /// Length of the window the count is for.
    package var windowSeconds: Int64
    /// Unix seconds of the exchange; its windows begin at multiples of their length.
    package var serverSeconds: Int64

    package init(usedWeight: Int, windowSeconds: Int64, serverSeconds: Int64) {
        self.usedWeight = usedWeight
        self.windowSeconds = windowSeconds
        self.serverSeconds = serverSeconds
    }

    /// The window's number since 1970.
    package var window: Int64 { serverSeconds / windowSeconds }
}

/// Why a request must wait, and how long.
package struct BudgetWait: Sendable, Equatable {
    package enum Reason: String, Sendable, CaseIterable {
        /// The window's weight is used up or promised to others.
        case weight
        /// The window may be turning: whose it is cannot be told.
        case turn
        /// The exchange asked this address to stay away (429).
        case backOff
        /// The exchange has banned this address (418).
        case ban
        /// Another loader is asking the exchange for the first time.
        case probe
        /// Too many answers are out.
        case inFlight
        /// The database that keeps the shared budget does not answer.
        case storeAway
    }

    package var reason: Reason
    package var duration: Duration
    /// When it ends by the exchange's clock, Unix milliseconds, for people; nil when that is not known.
    package var until: Int64?

    package init(_ reason: Reason, _ duration: Duration, until: Int64? = nil) {
        self.reason = reason
        self.duration = duration
        self.until = until
    }
}

/// Why no weight could be had. Another attempt may have it.
package struct BudgetError: Error, Sendable, Equatable, CustomStringConvertible {
    package var detail: String

    package init(_ detail: String) { self.detail = detail }

    package var description: String { detail }
}
