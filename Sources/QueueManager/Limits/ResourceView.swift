import Workflow

/// A resource as a look finds it.
package struct ResourceLine: Sendable {
    package var permits: Int
    /// By all queues.
    package var held: Int
    /// Of all queues, the first in line first; not more than could be served now.
    package var waiters: [LinePlace]

    package init(permits: Int, held: Int, waiters: [LinePlace]) {
        self.permits = permits
        self.held = held
        self.waiters = waiters.sorted()
    }
}

/// The resources that one queue needs, as its look finds them.
package struct ResourceView: Sendable {
    package var queueID: QueueID
    package var limits: InstanceLimits
    package var lines: [Resource: ResourceLine]
    /// As stored before this look.
    package var holds: Set<ResourceHold>
    /// Since when its instances wait, as stored before this look.
    package var since: [InstanceID: Int64]

    /// A queue that waits looks again after this even if nobody wakes it: whoever gave the resource back may
    /// have died before it could.
    package static let lookAgainMilliseconds: Int64 = 5_000

    package init(
        queueID: QueueID, limits: InstanceLimits, lines: [Resource: ResourceLine],
        holds: Set<ResourceHold> = [], since: [InstanceID: Int64] = [:]
    ) {
        self.queueID = queueID
        self.limits = limits
        self.lines = lines
        self.holds = holds
        self.since = since
    }

    /// What is decided about instances that are to be launched.
    package struct Admission: Sendable {
        /// These have all they need.
        package var admitted: Set<InstanceID> = []
        /// The places of all that are to be launched; of the admitted ones too, as long as they are not.
        package var waits: [ResourceWait] = []
        /// Milliseconds after which those that were not admitted should be asked for again.
        package var lookAgain = ResourceView.lookAgainMilliseconds

        package init() {}
    }

    /// Decides which of `launches` may begin: a unit gets all that it needs, or nothing.
    ///
    /// - Parameters:
    ///   - isReady: whether an instance could be launched now, if it had all it needs.
    ///   - instancesMax: at most so many are admitted, but one unit in any case.
    package func admit(
        _ launches: [InstanceID], of queue: QueueState, now: Int64, instancesMax: Int,
        isReady: (InstanceID) -> Bool
    ) -> Admission {
        guard !launches.isEmpty else { return Admission() }
        let layout = PlanLayout.of(queue.plan)
        let held = Self.wanted(by: queue, stored: holds, limits, layout)
        var room = Room(view: self, held: held)
        var admission = Admission()
        let wanted = Set(launches)
        let units = layout.units.map { $0.members.filter(wanted.contains) }.filter { !$0.isEmpty }
            .map { (members: $0, since: $0.compactMap { since[$0] }.min() ?? now) }
        // Sorting is not stable: the plan's order decides between those that wait equally long.
        let ordered = units.enumerated().sorted {
            ($0.element.since, $0.offset) < ($1.element.since, $1.offset)
        }
        for (members, since) in ordered.map(\.element) where members.allSatisfy(isReady) {
            let place = LinePlace(since: since, priority: queue.plan.priority, queueID: queueID)
            let needs = members.flatMap { id in
                demands(of: id, in: queue.plan).map { ResourceHold($0, id) }
            }.filter { !held.contains($0) }
            let (line, short) = room.line(for: needs, place)
            let hasRoom =
                admission.admitted.isEmpty || admission.admitted.count + members.count <= instancesMax
            if short.isEmpty, hasRoom {
                admission.admitted.formUnion(members)
            } else if short.contains(where: { lines[$0] == nil }) {
                // It came up only now; the next look knows of it.
                admission.lookAgain = 1
            }
            room.take(line)
            admission.waits += line.map {
                ResourceWait(hold: $0, since: since, place: place, isShort: short.contains($0.resource))
            }
        }
        return admission
    }

    private func demands(of id: InstanceID, in plan: Plan) -> [Resource] {
        plan.step(id.step).map { limits.demands(of: $0) } ?? []
    }

    /// What a queue holds, as its state says: everything an instance needs from its first attempt on, until its
    /// unit has no live attempt (or it is over itself) and its last job is gone.
    ///
    /// Between two attempts the rest of its unit goes on, and must not lose what it needs to end: else two
    /// queues could each wait for what the other holds.
    static func wanted(
        by queue: QueueState, stored: Set<ResourceHold>, _ limits: InstanceLimits, _ layout: PlanLayout
    ) -> Set<ResourceHold> {
        let demands = Dictionary(queue.plan.steps.map { ($0.id, limits.demands(of: $0)) }) { first, _ in first
        }
        let present = Set(queue.attempts.values.filter { !$0.isGone }.map(\.id.id))
        var holds: Set<ResourceHold> = []
        for unit in layout.units {
            let states = unit.members.map { queue.instances[$0]?.machine.state }
            let isActive = states.contains { $0?.hasLiveAttempt ?? false }
            for (id, state) in zip(unit.members, states) {
                guard let state else { continue }
                let needs = (demands[id.step] ?? []).map { ResourceHold($0, id) }
                if state.hasLiveAttempt || present.contains(id) {
                    holds.formUnion(needs)
                } else if isActive, !state.isFinal {
                    holds.formUnion(needs.filter(stored.contains))
                }
            }
        }
        return holds
    }
}

/// What is left of the resources while the units of a queue are gone through.
private struct Room {
    private let lines: [Resource: ResourceLine]
    private let queueID: QueueID
    /// Held by other queues, held by this one, and promised to units of it that come first.
    private var taken: [Resource: Int]

    init(view: ResourceView, held: Set<ResourceHold>) {
        lines = view.lines
        queueID = view.queueID
        taken = lines.mapValues(\.held)
        for hold in view.holds { taken[hold.resource, default: 0] -= 1 }
        for hold in held { taken[hold.resource, default: 0] += 1 }
    }

    /// The lines a unit stands in for what it needs, and what it lacks.
    func line(for needs: [ResourceHold], _ place: LinePlace) -> (line: [ResourceHold], short: Set<Resource>) {
        var line: [ResourceHold] = []
        for level in Resource.Level.allCases {
            let here = needs.filter { $0.resource.level == level }
            line += here
            let counts = Dictionary(here.map { ($0.resource, 1) }, uniquingKeysWith: +)
            let short = counts.filter { $0.value > free($0.key, place) }.keys
            if !short.isEmpty { return (line, Set(short)) }
        }
        return (line, [])
    }

    mutating func take(_ holds: [ResourceHold]) {
        for hold in holds { taken[hold.resource, default: 0] += 1 }
    }

    /// What nobody holds and nobody before `place` waits for.
    private func free(_ resource: Resource, _ place: LinePlace) -> Int {
        guard let line = lines[resource] else { return 0 }
        let before = line.waiters.count { $0.queueID != queueID && $0 < place }
        return line.permits - taken[resource, default: 0] - before
    }
}
