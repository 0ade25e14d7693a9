import Testing

@testable import Workflow

struct LaunchPlannerTests {
    private static let steps = #"""
        [{"id":"a","target":"dummy-service","fan_out":{"by":["time","symbol"],"shard_days":1}},
         {"id":"b","target":"dummy-service"}]
        """#

    @Test func `instances that depend on no others are launched as units of one are`() throws {
        for seed in Seeds.all {
            var random = SplitMix64(seed: seed)
            let parallelMax = Int.random(in: 1...8, using: &random)
            var scene = PlannerScene(
                try builtPlan(steps: Self.steps, #","max_parallel":\#(parallelMax)"#))
            let layout = PlanLayout(scene.plan)
            try #require(layout.areAllAlone)
            for id in scene.plan.instances {
                let state = InstanceMachine.State.allCases.randomElement(using: &random) ?? .waiting
                let isTried = Bool.random(using: &random)
                scene.set(
                    id, state, notBefore: Int64.random(in: 900...1_100, using: &random),
                    attempt: isTried ? 1 : 0)
            }
            let snapshot = QueueSnapshot(
                status: .running, plan: scene.plan, instances: scene.instances, now: scene.now)
            var (together, each) = (LaunchPlanner(snapshot, layout), LaunchPlanner(snapshot, layout))
            together.consider()
            for unit in layout.units { each.consider(unit) }
            #expect(Self.launches(together) == Self.launches(each), "seed \(seed)")
            #expect(Self.nextLook(together) == Self.nextLook(each), "seed \(seed)")
            let live = scene.instances.values.count { $0.machine.state.hasLiveAttempt }
            let due = scene.instances.values.count {
                $0.machine.state == .waiting && $0.notBefore <= scene.now
            }
            #expect(Self.launches(together).count == max(0, min(due, parallelMax - live)), "seed \(seed)")
        }
    }

    @Test func `a queue with instances that wait for others goes unit by unit`() throws {
        for more in [
            #","after":["b"]"#, #","when":[{"step":"b","field":"status","op":"==","value":"finished"}]"#,
        ] {
            let plan = try builtPlan(
                steps: #"[{"id":"b","target":"dummy-service"},{"id":"a","target":"dummy-service"\#(more)}]"#)
            #expect(!PlanLayout(plan).areAllAlone)
        }
        let stream = try builtPlan(
            steps: #"""
                [{"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
                 {"id":"store","target":"arango-connector","input":"load"}]
                """#)
        #expect(!PlanLayout(stream).areAllAlone)
    }

    private static func launches(_ planner: LaunchPlanner) -> [InstanceID] {
        planner.decisions.compactMap { if case .launch(let id) = $0 { id } else { nil } }
    }

    private static func nextLook(_ planner: LaunchPlanner) -> Int64? {
        planner.decisions.compactMap { if case .lookAgain(let at) = $0 { at } else { nil } }.min()
    }
}
