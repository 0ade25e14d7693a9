import Workflow

/// What the holder of a queue has begun outside, what came of it, and when to look again: pure.
///
/// One look goes on at a time: the holder's own, or one of the event reader together with the queue's events, who
/// is handed what came of the effects so far.
struct EffectCourse: Sendable {
    /// What the holder does next.
    enum Move: Sendable {
        /// For the end of an effect, for news, or for a look that somebody else does.
        case wait
        /// Carries out what the newest look asks for; numbers are for ``EffectCourse/end(_:_:)``.
        case begin([(number: Int, effect: QueueEffect)], QueueState)
        case look(LookFollowUp)
        /// The claim was given back.
        case over
    }

    /// A busy queue may be held for long: after so many looks its jobs are asked about again.
    private static let touchedLooksMax = 16

    /// The newest look.
    private(set) var current: LookResult
    private var isNew = true
    private var isLooking = false
    private var hasNews = false
    private var underWay: [Int: QueueEffect] = [:]
    private var begun = 0
    private var looks = 0
    private var touched = TouchedEffects()
    private var operations: [QueueOperation] = []

    init(_ first: LookResult) { current = first }

    mutating func move() -> Move {
        if isNew {
            isNew = false
            guard current.plan.keepsClaim else { return .over }
            return .begin(current.plan.effects.map { (begin($0), $0) }, current.queue)
        }
        guard !isLooking, hasNews || underWay.isEmpty else { return .wait }
        return .look(takeFollowUp())
    }

    /// An effect is done.
    mutating func end(_ number: Int, _ operations: [QueueOperation]) {
        underWay[number] = nil
        self.operations += operations
    }

    /// Events of the queue were written: a place may have become free.
    mutating func tell() { hasNews = true }

    /// For a look that somebody else does now; ``looked(_:)`` or ``left(_:)`` has to follow.
    ///
    /// - Returns: nil while another look is under way.
    mutating func handIn() -> LookFollowUp? { isLooking || isNew ? nil : takeFollowUp() }

    mutating func looked(_ result: LookResult) {
        current = result
        isNew = true
        isLooking = false
    }

    /// Nobody has looked: what came of the effects is still to be written.
    mutating func left(_ followUp: LookFollowUp) {
        operations = followUp.operations + operations
        isLooking = false
        hasNews = true
    }

    private mutating func begin(_ effect: QueueEffect) -> Int {
        touched.insert(effect)
        begun += 1
        underWay[begun] = effect
        return begun
    }

    private mutating func takeFollowUp() -> LookFollowUp {
        isLooking = true
        hasNews = false
        looks += 1
        if looks.isMultiple(of: Self.touchedLooksMax) {
            touched = TouchedEffects()
            for effect in underWay.values { touched.insert(effect) }
        }
        defer { operations = [] }
        return LookFollowUp(
            claim: current.claim, operations: operations, touched: touched, isBusy: !underWay.isEmpty)
    }
}
