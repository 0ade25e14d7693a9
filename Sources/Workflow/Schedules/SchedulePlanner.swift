/// What is known of a schedule when it is looked at.
package struct ScheduleSnapshot: Sendable {
    package var name: ObjectName
    package var spec: ScheduleSpec
    package var isPaused: Bool
    /// Every fire time up to here (Unix seconds, inclusive) is decided.
    package var decidedUpTo: Int64
    /// Firings so far that were to start a queue; missed and skipped ones do not count.
    package var firedCount: Int
    /// Numbers of the firings that wait, oldest first.
    package var waiting: [Int64]
    package var startingCount: Int
    /// Queues of this schedule that are not final.
    package var runningCount: Int
    /// Milliseconds of the database's clock.
    package var now: Int64

    package init(
        name: ObjectName, spec: ScheduleSpec, isPaused: Bool = false, decidedUpTo: Int64, firedCount: Int = 0,
        waiting: [Int64] = [], startingCount: Int = 0, runningCount: Int = 0, now: Int64
    ) {
        self.name = name
        self.spec = spec
        self.isPaused = isPaused
        self.decidedUpTo = decidedUpTo
        self.firedCount = firedCount
        self.waiting = waiting
        self.startingCount = startingCount
        self.runningCount = runningCount
        self.now = now
    }
}

/// What a look at a schedule comes to. Everything in it is written in one transaction.
package struct SchedulePlan: Sendable, Hashable {
    package enum Decision: Sendable, Hashable {
        /// Fire times are Unix seconds; `first` and `last` are included.
        case missed(first: Int64, last: Int64, count: Int, reason: String)
        case start(fireTime: Int64)
        case wait(fireTime: Int64)
        case skip(fireTime: Int64, reason: String)
        /// A waiting firing, by its number, begins.
        case release(Int64)
        /// A waiting firing, by its number, is left out.
        case drop(Int64, reason: String)
        /// Tell the schedule's running queues to stop.
        case stopRunning
    }

    package var decisions: [Decision] = []
    package var decidedUpTo: Int64
    package var firedCount: Int
    /// When the next firing is due, milliseconds; nil when none will come.
    package var nextDue: Int64?
}

/// Decides which firings are due and what becomes of each: from what is known, with no clock of its own.
package enum SchedulePlanner {
    /// Fire times gone through in one look; a schedule that slept for years takes several.
    static let scanMax = 10_000

    package static func plan(_ schedule: ScheduleSnapshot) -> SchedulePlan {
        var plan = SchedulePlan(decidedUpTo: schedule.decidedUpTo, firedCount: schedule.firedCount)
        guard !schedule.isPaused else { return plan }
        var open = OpenFirings(schedule)
        open.releaseOne(into: &plan)
        let due = dueTimes(schedule)
        plan.decidedUpTo = due.decidedUpTo
        plan.nextDue = due.nextDue
        plan.decisions += due.missed
        open.add(due.times, schedule.spec, into: &plan)
        if let count = schedule.spec.count, plan.firedCount >= count { plan.nextDue = nil }
        return plan
    }

    private struct DueTimes {
        var missed: [SchedulePlan.Decision] = []
        /// To be started, oldest first.
        var times: [Int64] = []
        var decidedUpTo: Int64
        var nextDue: Int64?
    }

    /// In the order of fire times: one that is put off by its jitter also holds up those after it.
    private static func dueTimes(_ schedule: ScheduleSnapshot) -> DueTimes {
        let spec = schedule.spec
        var due = DueTimes(decidedUpTo: schedule.decidedUpTo)
        if let count = spec.count, schedule.firedCount >= count { return due }
        let oldest = schedule.now - Int64(spec.catchUpSeconds) * 1_000
        var late: [Int64] = []
        while let next = spec.next(after: due.decidedUpTo) {
            let time = next * 1_000 + spec.jitterMilliseconds(of: schedule.name, fireTime: next)
            guard time <= schedule.now, late.count < scanMax else {
                due.nextDue = time
                break
            }
            if time < oldest { late.append(next) } else { due.times.append(next) }
            due.decidedUpTo = next
        }
        due.missed = missed(late, "It was later than \(spec.catchUpSeconds) s (catch_up_seconds)")
        let surplus = due.times.prefix(max(0, due.times.count - spec.catchUpMax))
        due.missed += missed(
            Array(surplus), "More than \(spec.catchUpMax) were due at once (catch_up_max)")
        due.times.removeFirst(surplus.count)
        return due
    }

    private static func missed(_ times: [Int64], _ reason: String) -> [SchedulePlan.Decision] {
        guard let first = times.first, let last = times.last else { return [] }
        return [.missed(first: first, last: last, count: times.count, reason: reason)]
    }
}

/// The firings of a schedule that are not over, while a plan is made.
private struct OpenFirings {
    private var waiting: [Int64]
    private var waitingTime: Int64?
    private var isBusy: Bool
    private let isRunning: Bool

    init(_ schedule: ScheduleSnapshot) {
        waiting = schedule.waiting
        isRunning = schedule.runningCount > 0
        isBusy = isRunning || schedule.startingCount > 0
    }

    mutating func releaseOne(into plan: inout SchedulePlan) {
        guard !isBusy, let first = waiting.first else { return }
        waiting.removeFirst()
        plan.decisions.append(.release(first))
        isBusy = true
    }

    mutating func add(_ times: [Int64], _ spec: ScheduleSpec, into plan: inout SchedulePlan) {
        for (index, time) in times.enumerated() {
            if let count = spec.count, plan.firedCount >= count { break }
            let isNewest = index == times.count - 1
            switch spec.overlap {
            case .allow: start(time, &plan)
            case .skip:
                if isBusy { skip(time, "The firing before it still runs", &plan) } else { start(time, &plan) }
            case .queueOne:
                if !isBusy {
                    start(time, &plan)
                } else if waiting.isEmpty && waitingTime == nil {
                    wait(time, &plan)
                } else {
                    skip(time, "One waits already", &plan)
                }
            case .stopPrevious:
                if isNewest { replace(with: time, &plan) } else { skip(time, Self.replaced, &plan) }
            }
        }
        // Said at every look until it has happened.
        let someoneWaits = !waiting.isEmpty || waitingTime != nil
        if spec.overlap == .stopPrevious, someoneWaits, isRunning { plan.decisions.append(.stopRunning) }
    }

    private static let replaced = "A newer firing took its place"

    private mutating func replace(with time: Int64, _ plan: inout SchedulePlan) {
        for number in waiting { plan.decisions.append(.drop(number, reason: Self.replaced)) }
        waiting = []
        if isBusy { wait(time, &plan) } else { start(time, &plan) }
    }

    private mutating func start(_ time: Int64, _ plan: inout SchedulePlan) {
        plan.decisions.append(.start(fireTime: time))
        plan.firedCount += 1
        isBusy = true
    }

    private mutating func wait(_ time: Int64, _ plan: inout SchedulePlan) {
        plan.decisions.append(.wait(fireTime: time))
        plan.firedCount += 1
        waitingTime = time
    }

    private func skip(_ time: Int64, _ reason: String, _ plan: inout SchedulePlan) {
        plan.decisions.append(.skip(fireTime: time, reason: reason))
    }
}
