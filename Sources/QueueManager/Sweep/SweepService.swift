import PostgresBridge
import ServiceLifecycle

/// Sweeps what belongs to nobody: topics, one replica at a time, and jobs, each replica those in its sight.
struct SweepService: Service {
    let pool: PostgresPool
    let topics: TopicSweep
    let jobs: JobSweep
    let observe: UpkeepObserver

    static let interval = Duration.seconds(60)

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                await upkeepLoop("topic sweep", every: Self.interval, observe: observe) {
                    try await sweepTopics()
                }
            }
            group.addTask {
                await upkeepLoop("job sweep", every: Self.interval, observe: observe) {
                    try await sweepJobs()
                }
            }
        }
    }

    /// - Returns: false when another replica is at it.
    @discardableResult
    func sweepTopics() async throws -> Bool {
        let report = try await pool.withAdvisoryLock("streamforge topic sweep") { _ in
            try await topics.round()
        }
        guard let report else { return false }
        for orphan in report.deleted { observe(.topicSwept(orphan)) }
        observe(.unknownTopicsCounted(report.unknownCount))
        return true
    }

    func sweepJobs() async throws {
        for owner in try await jobs.round() { observe(.jobSwept(owner)) }
    }
}
