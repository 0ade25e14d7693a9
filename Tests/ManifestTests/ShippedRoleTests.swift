import Foundation
import JobLaunchers
import TestSupport
import Testing
import Workflow

/// The Role that is shipped, on a cluster that checks it: enough for everything the launcher does, and no more.
@Suite(
    .serialized, .enabled(if: TestCluster.isWanted, Comment(rawValue: TestCluster.skipReason)),
    .timeLimit(.minutes(3)))
struct ShippedRoleTests {
    private static let verbs = [
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    ]
    /// By API group: what the launcher works with, and what would be of worth to whoever stole its token.
    private static let resources = [
        "batch": ["jobs", "jobs/status", "cronjobs"],
        "": [
            "pods", "pods/log", "pods/exec", "pods/portforward", "pods/eviction", "events", "secrets",
            "configmaps",
            "serviceaccounts", "serviceaccounts/token", "services", "persistentvolumeclaims", "nodes",
            "namespaces",
        ],
        "apps": ["deployments", "deployments/scale", "statefulsets", "daemonsets"],
        "rbac.authorization.k8s.io": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
    ]

    private static var asked: [Right] {
        resources.flatMap { group, resources in
            resources.flatMap { resource in
                verbs.map { Right(group: group, resource: resource, verb: $0) }
            }
        }.sorted()
    }

    @Test func `the account may do what the Role says, and nothing else, nor anything elsewhere`()
        async throws
    {
        try await RoleStage.with { stage in
            let yaml = try await Manifests.yaml(of: "base")
            let role = try #require(try Manifests(yaml: yaml).first("Role", RoleStage.roleName))
            let granted = Right.granted(by: role)
            #expect(granted.isSubset(of: Self.asked))
            #expect(try await stage.allowed(Self.asked, in: stage.namespace) == granted)
            #expect(try await stage.allowed(Self.asked, in: "default") == [])
        }
    }

    @Test func `the launcher needs all that the Role allows, and is refused nothing`() async throws {
        try await RoleStage.with { stage in
            try await runToTheEnd(stage)
            try await beRefusedPods(stage)
            #expect(stage.asked.refused == [])
            #expect(stage.asked.rights == (try AccessRules.used().rights))
        }
    }

    /// Launched twice, found, ended by itself; its log read, its Job swept.
    private func runToTheEnd(_ stage: RoleStage) async throws {
        let job = try newJob("a")
        let handle = try await stage.launcher.launch(job)
        #expect(try await stage.launcher.launch(job) == handle)
        #expect(try await stage.launcher.find(job.id, attempt: 1, of: job.queueID) == handle)
        try await until(stage, handle) { if case .ended = $0 { true } else { false } }
        #expect(try await stage.launcher.log(of: handle, bytesMax: 1 << 10) != nil)
        stage.finished.insert(JobKey(queueID: job.queueID, id: job.id, attempt: 1))
        try await stage.sweeper.round(all: true)
    }

    /// A Job without a pod: its events are asked for; then it is killed.
    private func beRefusedPods(_ stage: RoleStage) async throws {
        try await stage.refusePods()
        let handle = try await stage.launcher.launch(try newJob("b"))
        try await until(stage, handle) {
            if case .stuck(let why, _) = $0 { why.contains("quota") } else { false }
        }
        try await stage.launcher.kill(handle)
    }

    private func newJob(_ instance: String) throws -> Job {
        let queue = try #require(QueueID("wf-role-dummy-20240801-abc123"))
        let step = try #require(StepID("try"))
        // Nothing that a worker needs to know: it refuses its settings and ends.
        return Job(
            queueID: queue, id: InstanceID(step: step, instance: instance), attempt: 1, target: .dummyService,
            environment: ["SYMBOL": instance])
    }

    private func until(
        _ stage: RoleStage, _ handle: JobHandle, _ isWanted: (JobState) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        var last = "nothing was told"
        while ContinuousClock.now < deadline {
            do {
                let state = try await stage.launcher.state(of: handle)
                if isWanted(state) { return }
                last = "\(state)"
            } catch {
                last = "\(error)"
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("the state that was waited for did not come: \(last)")
    }
}
