/// The instances of a plan and how they hang together: made once for a look, asked many times.
package struct PlanLayout: Sendable {
    /// Instances that stream edges link. They run together: each may wait for records of another, so that one
    /// alone would wait for ever.
    package struct Unit: Sendable, Hashable {
        package var members: [InstanceID]
    }

    package let instances: [StepID: [PlannedInstance]]
    /// In the order of their first instances.
    package let units: [Unit]
    /// The names an instance reads, where it reads any.
    let inputs: [InstanceID: [String]]
    /// Steps whose instances depend on no others.
    let independent: Set<StepID>
    /// All steps are independent: so are most large queues.
    let areAllAlone: Bool

    package init(_ plan: Plan) {
        let pairs = plan.steps.map { ($0.id, plan.instances(of: $0)) }
        instances = Dictionary(pairs) { first, _ in first }
        let all = pairs.flatMap(\.1)
        inputs = Dictionary(all.filter { !$0.inputs.isEmpty }.map { ($0.id, $0.inputs) }) { first, _ in first
        }
        var groups = Groups(count: all.count)
        let places = Dictionary(
            all.enumerated().map { ($0.element.id, $0.offset) }, uniquingKeysWith: { first, _ in first })
        for (place, instance) in all.enumerated() where !instance.inputs.isEmpty {
            guard let source = plan.step(instance.id.step)?.input else { continue }
            for name in instance.inputs {
                if let other = places[InstanceID(step: source, instance: name)] { groups.join(place, other) }
            }
        }
        var members: [Int: [InstanceID]] = [:]
        var order: [Int] = []
        for (place, instance) in all.enumerated() {
            let root = groups.root(of: place)
            if members[root] == nil { order.append(root) }
            members[root, default: []].append(instance.id)
        }
        units = order.map { Unit(members: members[$0] ?? []) }
        let independent = plan.steps.filter { step in
            step.input == nil && step.earlierSteps.isEmpty && step.when.isEmpty
                && (plan.transport != .shared || !step.target.isProducer)
        }
        self.independent = Set(independent.map(\.id))
        areAllAlone = independent.count == plan.steps.count
    }

    package var largestUnit: Unit? { units.max { $0.members.count < $1.members.count } }
}

/// Sets of numbers that are joined step by step (union by the smaller root, paths halved).
struct Groups {
    private var parents: [Int]

    init(count: Int) { parents = Array(0..<count) }

    mutating func root(of place: Int) -> Int {
        var place = place
        while parents[place] != place {
            parents[place] = parents[parents[place]]
            place = parents[place]
        }
        return place
    }

    mutating func join(_ left: Int, _ right: Int) {
        let (left, right) = (root(of: left), root(of: right))
        parents[max(left, right)] = min(left, right)
    }
}
