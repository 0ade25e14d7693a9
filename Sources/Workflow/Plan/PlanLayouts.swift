import Synchronization

/// The layouts of plans that were asked for before: a queue's plan never changes, and each look needs its layout
/// several times.
final class PlanLayouts: Sendable {
    static let shared = PlanLayouts(instancesMax: 20_000)

    private struct Known {
        var layouts: [Plan: PlanLayout] = [:]
        var instances = 0
    }

    /// Of all layouts that are kept; beyond it they are forgotten together.
    private let instancesMax: Int
    private let known = Mutex(Known())

    init(instancesMax: Int) {
        self.instancesMax = instancesMax
    }

    func layout(of plan: Plan) -> PlanLayout {
        if let layout = known.withLock({ $0.layouts[plan] }) { return layout }
        let layout = PlanLayout(plan)
        let count = layout.instances.values.reduce(0) { $0 + $1.count }
        known.withLock { known in
            if known.instances + count > instancesMax { known = Known() }
            if known.layouts.updateValue(layout, forKey: plan) == nil { known.instances += count }
        }
        return layout
    }
}

extension PlanLayout {
    /// The same as ``init(_:)``, kept for the next time.
    package static func of(_ plan: Plan) -> PlanLayout { PlanLayouts.shared.layout(of: plan) }
}
