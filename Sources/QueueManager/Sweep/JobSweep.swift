import Workflow

/// Ends jobs in sight whose attempts are over and count as gone, some at a time.
///
/// The engine ends an attempt's job itself. What is left is a job that nobody looks for any more: launched by
/// a replica that had stood still while the attempt was given up, or hanging on a machine that was out of
/// sight then.
package struct JobSweep: Sendable {
    private let store: any SweepStorage
    private let launcher: any JobLauncher
    /// A job that still hears ends by itself within this time after its attempt.
    private let grace: Duration
    private let killsMax: Int

    package init(
        store: any SweepStorage, launcher: any JobLauncher, grace: Duration = .seconds(60),
        killsMax: Int = 16
    ) {
        self.store = store
        self.launcher = launcher
        self.grace = grace
        self.killsMax = killsMax
    }

    /// Looks once at the jobs this replica can see; jobs of attempts that are not stored here are left alone.
    ///
    /// - Returns: the attempts whose jobs were ended.
    package func round() async throws -> [JobKey] {
        let jobs = try await launcher.jobs()
        guard !jobs.isEmpty else { return [] }
        let gone = try await store.goneAttempts(Array(Set(jobs.map(\.owner))), for: grace)
        var ended: [JobKey] = []
        for job in jobs.filter({ gone.contains($0.owner) }).prefix(killsMax) {
            try await launcher.kill(job.handle)
            ended.append(job.owner)
        }
        return ended
    }
}
