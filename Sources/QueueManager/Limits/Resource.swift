import Workflow

/// Something that only so many instances may have at the same time.
package enum Resource: Sendable, Hashable {
    /// One instance at a time.
    case lock(ResourceName)
    /// As many as its permits, see ``SemaphoreStore``.
    case semaphore(ResourceName)
    /// Instances of one kind of worker, in all queues.
    case target(Workflow.Target)
    /// Instances of all queues.
    case overall

    /// As stored and shown: `lock:gpu-0`, `semaphore:exchange`, `target:arango-connector`, `overall`.
    package var name: String {
        switch self {
        case .lock(let name): "lock:\(name)"
        case .semaphore(let name): "semaphore:\(name)"
        case .target(let target): "target:\(target.rawValue)"
        case .overall: "overall"
        }
    }

    /// nil for what this version does not know.
    package init?(_ name: String) {
        if name == "overall" {
            self = .overall
            return
        }
        let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return nil }
        switch parts[0] {
        case "lock": if let name = ResourceName(parts[1]) { self = .lock(name) } else { return nil }
        case "semaphore": if let name = ResourceName(parts[1]) { self = .semaphore(name) } else { return nil }
        case "target":
            if let target = Target(rawValue: parts[1]) { self = .target(target) } else { return nil }
        default: return nil
        }
    }

    /// Whoever lacks something of one level does not stand in the lines of the levels after it: a queue that
    /// waits for a lock keeps no other from running.
    enum Level: Int, CaseIterable { case named, target, overall }

    var level: Level {
        switch self {
        case .lock, .semaphore: .named
        case .target: .target
        case .overall: .overall
        }
    }
}

/// How many instances may run at the same time in all queues; nothing is limited by default, and costs nothing
/// then.
package struct InstanceLimits: Sendable, Hashable {
    package var overall: Int?
    package var byTarget: [Workflow.Target: Int]

    package init(overall: Int? = nil, byTarget: [Workflow.Target: Int] = [:]) {
        self.overall = overall
        self.byTarget = byTarget
    }

    /// Of a lock, and of a semaphore that nobody has set.
    package static let permitsDefault = 1

    /// What an instance of a step must have to run.
    package func demands(of step: PlannedStep) -> [Resource] {
        var demands = step.locks.map(Resource.lock) + step.semaphores.map(Resource.semaphore)
        if byTarget[step.target] != nil { demands.append(.target(step.target)) }
        if overall != nil { demands.append(.overall) }
        return demands
    }

    /// Whether anything limits the instances of this plan.
    package func concern(_ plan: Plan) -> Bool {
        overall != nil || !byTarget.isEmpty
            || plan.steps.contains { !$0.locks.isEmpty || !$0.semaphores.isEmpty }
    }

    /// - Parameter semaphores: those that were set.
    package func permits(of resource: Resource, _ semaphores: [ResourceName: Int]) -> Int {
        switch resource {
        case .lock: Self.permitsDefault
        case .semaphore(let name): semaphores[name] ?? Self.permitsDefault
        case .target(let target): byTarget[target] ?? .max
        case .overall: overall ?? .max
        }
    }
}

/// An instance that has a resource.
package struct ResourceHold: Sendable, Hashable {
    package var resource: Resource
    package var id: InstanceID

    package init(_ resource: Resource, _ id: InstanceID) {
        self.resource = resource
        self.id = id
    }
}

/// Where a queue stands in a line: the lower rank comes first.
package struct LinePlace: Sendable, Hashable, Comparable {
    /// Milliseconds of waiting that one point of priority is worth: so a queue that waits is overtaken only by
    /// those that come soon after it, and none waits for ever.
    package static let millisecondsPerPriority: Int64 = 10_000

    package var rank: Int64
    package var queueID: QueueID

    /// - Parameter since: when it began to wait, in milliseconds of the database's clock.
    package init(since: Int64, priority: Int, queueID: QueueID) {
        self.init(rank: since - Int64(priority) * Self.millisecondsPerPriority, queueID: queueID)
    }

    package init(rank: Int64, queueID: QueueID) {
        self.rank = rank
        self.queueID = queueID
    }

    package static func < (left: LinePlace, right: LinePlace) -> Bool {
        (left.rank, left.queueID.rawValue) < (right.rank, right.queueID.rawValue)
    }
}

/// An instance that stands in the line of a resource.
package struct ResourceWait: Sendable, Hashable {
    package var hold: ResourceHold
    package var since: Int64
    package var place: LinePlace
    /// This resource is what it lacks; others it could have, and keeps its place in their lines.
    package var isShort: Bool

    package init(hold: ResourceHold, since: Int64, place: LinePlace, isShort: Bool) {
        self.hold = hold
        self.since = since
        self.place = place
        self.isShort = isShort
    }
}
