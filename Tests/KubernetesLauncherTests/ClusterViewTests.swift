import FoundationEssentials
import KubernetesBridge
import Testing
import Workflow

@testable import JobLaunchers

/// What the watches' news come to.
struct ClusterViewTests {
    private static let failed =
        #"{"conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded","message":"said"}]}"#

    /// A view, and the queues it hinted at.
    private final class Rig: Sendable {
        let told = Mutexed<[QueueID]>([])
        let view: ClusterView

        init() {
            let told = told
            view = ClusterView(limits: WaitLimits()) { told.value.append($0) }
        }
    }

    private func metadata(_ name: String, owner: String? = nil) throws -> String {
        let job = try job()
        let labels = JobLabels(job, installation: Installation(name: "i", database: "d")).labels
        let pairs = labels.map { #""\#($0.key)":"\#($0.value)""# }.joined(separator: ",")
        let owners = owner.map { #","ownerReferences":[{"kind":"Job","uid":"\#($0)"}]"# } ?? ""
        return #"{"name":"\#(name)","uid":"\#(name)","labels":{\#(pairs)}\#(owners)}"#
    }

    private func cluster(_ status: String = "{}") throws -> JobObject {
        try JSONDecoder().decode(
            JobObject.self, from: Data(#"{"metadata":\#(metadata("j1")),"status":\#(status)}"#.utf8))
    }

    private func pod(_ phase: String, exitCode: Int? = nil, name: String = "p1") throws -> PodObject {
        let container = exitCode.map {
            #","containerStatuses":[{"name":"worker","state":{"terminated":{"exitCode":\#($0)}}}]"#
        }
        return try JSONDecoder().decode(
            PodObject.self,
            from: Data(
                #"{"metadata":\#(metadata(name, owner: "j1")),"status":{"phase":"\#(phase)"\#(container ?? "")}}"#
                    .utf8))
    }

    @Test func `a Job that failed before its pods were told is asked about, once`() throws {
        let rig = Rig()
        let view = rig.view
        view.apply(.replaced([try cluster(Self.failed)]))
        #expect(view.state(of: "j1") == .running && view.needsPods(of: "j1"))
        #expect(rig.told.value.count == 1)
        view.learn([try pod("Failed", exitCode: 10)], of: "j1")
        #expect(view.state(of: "j1") == .ended(how: "exit 10") && !view.needsPods(of: "j1"))
        #expect(rig.told.value.count == 2)
    }

    @Test func `a pod that went tells how it ended all the same`() throws {
        let view = Rig().view
        view.apply(.replaced([try cluster()]))
        view.apply(.replaced([try pod("Running")]))
        view.apply(.removed(try pod("Failed", exitCode: 20)))
        #expect(view.state(of: "j1") == .ended(how: "exit 20"))
    }

    @Test func `an older list does not bring back a pod that went`() throws {
        let view = Rig().view
        view.apply(.replaced([try cluster(Self.failed)]))
        view.apply(.set(try pod("Running")))
        view.apply(.removed(try pod("Running")))
        view.learn([try pod("Running")], of: "j1")
        #expect(view.state(of: "j1") == .ended(how: "PodDeleted: its pod was deleted"))
    }

    @Test func `a Job that went before its pods were seen to end was deleted`() throws {
        let view = Rig().view
        view.apply(.replaced([try cluster()]))
        view.apply(.removed(try cluster()))
        #expect(view.state(of: "j1") == .ended(how: "JobDeleted: its job was deleted"))
    }

    @Test func `it is blind from a failure until it is told something again`() throws {
        let view = Rig().view
        #expect(!view.isComplete)
        view.apply(.replaced([try cluster()]))
        view.apply(.replaced([try pod("Running")]))
        #expect(view.isComplete && !view.isBlind)
        let error = KubernetesError(.unavailable, operation: "watch pods", detail: "cut")
        view.apply(ReflectorNews<PodObject>.failed(error))
        view.apply(ReflectorNews<JobObject>.connected)
        #expect(view.isBlind)
        view.apply(ReflectorNews<PodObject>.connected)
        #expect(!view.isBlind)
    }
}

struct WatchSightTests {
    private var sight = WatchSight()
    private let now = ContinuousClock.now

    @Test mutating func `a watch that was cut and opened again has missed nothing`() {
        #expect(sight.isClear(now))
        sight.failed(now)
        #expect(!sight.isClear(now))
        sight.failed(now + .seconds(9))
        sight.told(now + .seconds(10))
        #expect(sight.isClear(now + .seconds(10)))
    }

    @Test mutating func `after an outage what is told may be old for a while`() {
        sight.failed(now)
        sight.told(now + .seconds(30))
        #expect(!sight.isClear(now + .seconds(30)))
        sight.told(now + .seconds(40))
        #expect(!sight.isClear(now + .seconds(44)))
        #expect(sight.isClear(now + .seconds(45)))
    }
}
