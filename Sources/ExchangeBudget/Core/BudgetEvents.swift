import Workflow

/// What a loader tells the shared budget. Times are in milliseconds of the budget's own clock.
package enum BudgetEvent: Sendable, Equatable {
    /// It would like `want`, and can use nothing below `least`.
    case asked(want: Int, least: Int)
    case answered(BudgetReport)
    /// The exchange refused a request and asked to stay away for so long.
    case refused(BudgetStay.Kind, milliseconds: Int64)
    /// It needs nothing any more. What is free again is what it knows that it did not send, whatever has become of
    /// the rest: a request whose answer was lost, or was dated before its window, has been counted all the same.
    case left(unspent: BudgetRest?)
}

/// What to do about a ``BudgetEvent``.
package enum BudgetAction: Sendable, Equatable {
    case ignore
    case grant(BudgetGrant)
    case wait(BudgetHold)
}

/// Weight that one loader may spend.
package struct BudgetGrant: Sendable, Equatable {
    package var weight: Int
    /// The exchange's window it belongs to; nil when the exchange has not told yet, or has no limit.
    package var window: Int64?
    /// Requests must be sent within this time.
    package var validMilliseconds: Int64
}

/// What is left of grants in one window.
package struct BudgetRest: Sendable, Equatable {
    package var window: Int64
    package var weight: Int

    package init(window: Int64, weight: Int) {
        self.window = window
        self.weight = weight
    }
}

/// Why nothing was granted, and when to ask again.
package struct BudgetHold: Sendable, Equatable {
    package var reason: BudgetWait.Reason
    /// Ask again after this; more may be known earlier than the wait is over.
    package var milliseconds: Int64
    /// When there will be weight by the exchange's clock, as far as can be told; for people.
    package var until: Int64
}

/// A time in which nobody of the egress may ask the exchange.
package struct BudgetStay: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// 429.
        case backOff
        /// 418.
        case ban
    }

    package var kind: Kind
    package var until: Int64

    package init(_ kind: Kind, until: Int64) {
        self.kind = kind
        self.until = until
    }
}

/// What a loader has seen of the exchange since it began.
package struct BudgetReport: Sendable, Equatable {
    /// The exchange's highest count in the window, with what the loader knew then.
    package struct Reading: Sendable, Equatable {
        package var used: Int
        /// Its own weight that was answered in the window by then, this answer included.
        package var answered: Int

        package init(used: Int, answered: Int) {
            self.used = used
            self.answered = answered
        }
    }

    /// The exchange's time by the budget's clock; nil when no answer has told it.
    package var clock: ServerClock?
    package var windowSeconds: Int64?
    /// The latest window that an answer was counted in; what follows is about it.
    package var window: Int64?
    /// Its weight that was answered in that window.
    package var answered = 0
    /// As much of it was booked in an earlier window.
    package var lateAnswered = 0
    package var reading: Reading?
    /// Weight sent and not answered, by the window it was booked in.
    package var unanswered: [Int64: Int] = [:]
    /// There was data without a count: this exchange tells no limit.
    package var isUnmetered = false

    package init() {}
}
