import Workflow

/// Sends each target's attempts to the launcher it is routed to; later questions go to the one that made the
/// handle.
package struct RoutingLauncher: JobLauncher {
    package let name = "routing"
    private let routes: [Target: any JobLauncher]
    private let others: any JobLauncher
    /// All of them, each once.
    private let launchers: [String: any JobLauncher]

    /// - Parameters:
    ///   - routes: launchers that do not tell ends (``JobLauncher/ends``): only those of `others` are told.
    ///   - others: for every target without a route.
    ///   - idle: launchers that get no attempts any more, but still know their earlier ones.
    package init(
        _ routes: [Target: any JobLauncher], others: any JobLauncher, idle: [any JobLauncher] = []
    ) {
        self.routes = routes
        self.others = others
        let all = Array(routes.values) + [others] + idle
        launchers = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    package var ends: AsyncStream<QueueID> { others.ends }

    package func isLaunchRepeatable(for target: Target) -> Bool {
        route(target).isLaunchRepeatable(for: target)
    }

    package func pollInterval(for target: Target) -> Duration? { route(target).pollInterval(for: target) }

    package func isHeardOfSoon(for target: Target) -> Bool { route(target).isHeardOfSoon(for: target) }

    package func mayWait(for target: Target) -> Bool { route(target).mayWait(for: target) }

    package func lossGrace(for target: Target) -> Duration { route(target).lossGrace(for: target) }

    package func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
        try await route(job.target).launch(job)
    }

    /// Asks all, since the route of a target may have changed since the launch.
    package func find(
        _ id: InstanceID, attempt: Int, of queueID: QueueID
    ) async throws(LaunchError) -> JobHandle? {
        for launcher in launchers.values {
            if let handle = try await launcher.find(id, attempt: attempt, of: queueID) { return handle }
        }
        return nil
    }

    /// A job of a launcher that this queue-manager does not have is out of its sight.
    package func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
        guard let launcher = launchers[handle.launcher] else { return .outOfSight }
        return try await launcher.state(of: handle)
    }

    package func kill(_ handle: JobHandle) async throws(LaunchError) {
        try await launchers[handle.launcher]?.kill(handle)
    }

    package func jobs() async throws(LaunchError) -> [JobInSight] {
        var jobs: [JobInSight] = []
        for launcher in launchers.values { jobs += try await launcher.jobs() }
        return jobs
    }

    package func log(of handle: JobHandle, bytesMax: Int) async throws(LaunchError) -> [UInt8]? {
        try await launchers[handle.launcher]?.log(of: handle, bytesMax: bytesMax)
    }

    private func route(_ target: Target) -> any JobLauncher { routes[target] ?? others }
}
