import KafkaBridge
import Logging
import PostgresBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(3)))
struct SweepTests {
    // MARK: Topics

    @Test func `deletes an orphan from a real broker, and none of its neighbours`() async throws {
        try await withBroker { kafka in
            try await withPostgres { pool in
                let engine = try await EngineFixture(pool)
                let cleaned = try await engine.createQueue("clean1")
                let ended = try await engine.createQueue("ended1")
                let open = try await engine.createQueue("open01")
                try await finish([cleaned, ended], cleaned: [cleaned], pool)
                let orphans = ["\(cleaned)-data", "\(cleaned)-data-dead"]
                let neighbours = [
                    "\(cleaned)-data-r2", "\(ended)-data", "\(open)-data", "\(open)-data-dead",
                    "wf-other-zzzzzz-data",
                    "sf-pool-dummy-service", "market-candles",
                ]
                try await withKafka(kafka) { broker in
                    for topic in orphans + neighbours { try await broker.createTopic(topic, 1, [:]) }
                    let metrics = PrometheusRegistry()
                    let service = service(engine, broker, pool, metrics)
                    #expect(try await service.sweepTopics())
                    let left = Set(neighbours + ["queue-control", "queue-events"])
                    #expect(Set(try await broker.topicNames()) == left)
                    #expect(try await service.sweepTopics())
                    #expect(Set(try await broker.topicNames()) == left)
                    #expect(metrics.render().contains("streamforge_topics_swept_total 2"))
                    #expect(metrics.render().contains("streamforge_topics_unknown 2"))
                }
            }
        }
    }

    @Test func `a topic that comes late goes with the next sweep`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            let sweep = TopicSweep(store: engine.store, broker: engine.broker)
            try await engine.broker.createTopic("\(id)-data", 1, [:])
            #expect(try await sweep.round() == TopicSweep.Report())
            try await finish([id], cleaned: [id], pool)
            try await engine.broker.createTopic("\(id)-data-dead", 1, [:])
            let report = try await sweep.round()
            #expect(report.deleted.map(\.topic) == ["\(id)-data", "\(id)-data-dead"])
            #expect(engine.deleted.all == ["\(id)-data", "\(id)-data-dead"])
        }
    }

    @Test func `takes a limited number at a time, and asks about few queues at a time`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            var ids: [QueueID] = []
            for number in 1...5 { ids.append(try await engine.createQueue("queue\(number)")) }
            try await finish(ids, cleaned: ids, pool)
            for id in ids { try await engine.broker.createTopic("\(id)-data", 1, [:]) }
            let sweep = TopicSweep(store: engine.store, broker: engine.broker, deletesMax: 3, queuesMax: 2)
            let report = try await sweep.round()
            #expect(report.deleted.map(\.queueID) == Array(ids.prefix(3)))
            #expect(report.unknownCount == 0)
        }
    }

    @Test func `one replica sweeps topics at a time`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let service = service(engine, engine.broker, pool, PrometheusRegistry())
            let isOurs: Bool? = try await pool.withAdvisoryLock("streamforge topic sweep") { _ in
                try await service.sweepTopics()
            }
            #expect(isOurs == false)
            #expect(try await service.sweepTopics())
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a store tells which queues are open, ended and cleaned up`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let (open, ended, cleaned) = (
                try await stage.create("a"), try await stage.create("b"), try await stage.create("c")
            )
            _ = try await stage.look(.due(limit: 8, token: "x")) { queue, facts in
                if queue.queueID != open {
                    queue.apply(.end(.failed, reason: "r"), StorageStage.context(facts))
                }
                if queue.queueID == cleaned { queue.apply(.cleaned, StorageStage.context(facts)) }
                return .rest()
            }
            let unknown = try StorageStage.id("u")
            let owners = try await stage.storage.topicOwners([open, ended, cleaned, unknown])
            #expect(owners.count == 3)
            guard case .open? = owners[open], case .ended? = owners[ended],
                case .cleaned(let plan, runs: 1)? = owners[cleaned]
            else {
                Issue.record("\(owners)")
                return
            }
            #expect(plan.steps.map(\.id.rawValue) == [StorageStage.step])
            #expect(try await stage.storage.topicOwners([]).isEmpty)
        }
    }

    // MARK: Jobs

    @Test func `ends a job whose attempt counts as gone, and no other`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            try await pool.execute(
                """
                UPDATE streamforge.attempts SET is_gone = true, ended_at = now() - interval '2 minutes'
                WHERE step = 'load'
                """)
            let other = try #require(QueueID("wf-other-zzzzzz"))
            engine.launcher.inSight.value = [
                try job(id, "load"), try job(id, "store"), try job(other, "load"), try job(id, "load", 2),
            ]
            let service = service(engine, engine.broker, pool, PrometheusRegistry())
            try await service.sweepJobs()
            #expect(engine.launcher.killed == ["\(id)/load/1"])
            engine.launcher.inSight.value = []
            try await service.sweepJobs()
            #expect(engine.launcher.killed == ["\(id)/load/1"])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `an attempt is gone for a while when its job is and its end is long ago`(kind: StorageKind)
        async throws
    {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a", symbols: ["A", "B", "C"])
            let instances = try ["A", "B", "C"].map { try StorageStage.instance($0) }
            try await stage.storage.requestLook(at: id)
            _ = try await stage.look(.due(limit: 8, token: "x")) { queue, facts in
                let context = StorageStage.context(facts)
                for id in instances.prefix(2) {
                    let lost = InstanceMachine.Input.lost(attempt: 1, countsAsFailure: false, reason: "r")
                    queue.apply(.input(lost, id, stop: nil), context)
                }
                queue.apply(.jobGone(AttemptID(instances[0], 1)), context)
                return .rest()
            }
            let owners = instances.map { JobKey(queueID: id, id: $0, attempt: 1) }
            let strangers = [
                JobKey(queueID: id, id: instances[0], attempt: 2),
                JobKey(queueID: try StorageStage.id("u"), id: instances[0], attempt: 1),
            ]
            #expect(try await stage.storage.goneAttempts(owners, for: .seconds(60)).isEmpty)
            try await stage.pass(61_000)
            let gone = try await stage.storage.goneAttempts(owners + strangers, for: .seconds(60))
            #expect(gone == [owners[0]])
        }
    }

    // MARK: Help

    private func job(_ id: QueueID, _ step: String, _ attempt: Int = 1) throws -> JobInSight {
        let instance = InstanceID(step: try #require(StepID(step)), instance: "BTCUSDT")
        return JobInSight(
            owner: JobKey(queueID: id, id: instance, attempt: attempt),
            handle: JobHandle(launcher: "recording", fields: ["job": "\(id)/\(step)/\(attempt)"]))
    }

    private func finish(_ ids: [QueueID], cleaned: [QueueID], _ pool: PostgresPool) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.queues SET status = 'finished', finished_at = now(),
            is_cleaned = queue_id = ANY(\(cleaned.map(\.rawValue))::text[])
            WHERE queue_id = ANY(\(ids.map(\.rawValue))::text[])
            """)
    }

    private func service(
        _ engine: EngineFixture, _ broker: EngineBroker, _ pool: PostgresPool, _ metrics: PrometheusRegistry
    ) -> SweepService {
        SweepService(
            pool: pool, topics: TopicSweep(store: engine.store, broker: broker),
            jobs: JobSweep(store: engine.store, launcher: engine.launcher),
            observe: UpkeepObserver(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, factory: metrics))
    }

    /// The engine's own broker side, closed afterwards.
    private func withKafka(
        _ connection: KafkaConnection, _ body: @Sendable (EngineBroker) async throws -> Void
    ) async throws {
        let kafka = try await EngineKafka.connect(
            connection, topics: EngineTopics(control: "queue-control", events: "queue-events", partitions: 3),
            observe: { _ in })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await kafka.run() }
            do {
                try await body(kafka.broker)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
    }
}
