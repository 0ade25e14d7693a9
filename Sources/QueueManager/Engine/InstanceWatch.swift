import Metrics
import PostgresBridge
import ServiceLifecycle
import Workflow

/// Shows how many instances wait and run, by target: what a pool of workers scales on. Each replica shows the
/// same.
struct InstanceWatch: Service {
    let store: EngineStore
    let metrics: any MetricsFactory
    let observe: EngineObserver

    private static let period = Duration.seconds(5)
    /// The database works on this query for no more than this share of the time.
    private static let shareMax = 0.05

    func run() async throws {
        await loop("instances", observe: observe) {
            let start = ContinuousClock.now
            show(try await store.instanceCounts())
            let spent = start.duration(to: .now)
            try await Task.sleep(for: max(Self.period, spent * (1 / Self.shareMax)))
        }
    }

    /// A target without instances is shown with 0.
    func show(_ counts: [InstanceCount]) {
        let known = Dictionary(counts.map { ($0.key, $0.count) }) { $0 + $1 }
        for target in Target.allCases {
            for state in InstanceCount.states {
                Gauge(
                    label: "streamforge_instances",
                    dimensions: [("target", target.rawValue), ("state", state.rawValue)], factory: metrics
                ).record(known[InstanceCount.Key(target: target.rawValue, state: state), default: 0])
            }
        }
    }
}

/// Instances of one target in one state, over all queues that are not over.
struct InstanceCount: Sendable {
    struct Key: Sendable, Hashable {
        var target: String
        var state: InstanceMachine.State
    }

    /// Those that are not over.
    static let states = InstanceMachine.State.allCases.filter { !$0.isFinal }

    var key: Key
    var count: Int
}

extension EngineStore {
    /// Reads only queues that are not over, by the index on the status, and their instances. What waits in a
    /// queue that is paused or stopping will not start, and does not count.
    static let instanceCountsQuery: PostgresQuery = """
        SELECT step.target, i.status, count(*) AS count
        FROM streamforge.queues q
        CROSS JOIN LATERAL jsonb_to_recordset(q.plan -> 'steps') AS step(id text, target text)
        JOIN streamforge.instances i ON i.queue_id = q.queue_id AND i.step = step.id
        WHERE q.status IN ('pending', 'running', 'paused', 'stopping')
        AND i.status IN ('waiting', 'starting', 'running')
        AND (i.status <> 'waiting' OR q.status IN ('pending', 'running'))
        GROUP BY step.target, i.status
        """

    func instanceCounts() async throws -> [InstanceCount] {
        try await pool.execute(Self.instanceCountsQuery).map { row in
            InstanceCount(
                key: InstanceCount.Key(
                    target: try row["target", as: String.self],
                    state: try row.word("status", as: InstanceMachine.State.self)),
                count: try row["count", as: Int.self])
        }
    }
}
