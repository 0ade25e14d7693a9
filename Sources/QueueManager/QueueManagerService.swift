import ExchangeBudget
import Hummingbird
import KafkaBridge
import Logging
import Metrics
import PostgresBridge
import ServiceEndpoints
import ServiceLifecycle
import ServiceRuntime
import Workflow

/// The queue-manager put together: API, event reader, reconciler and dispatcher over one store.
///
/// `main` and the tests build the same thing with other parts.
package struct QueueManagerService: Sendable {
    package struct Parts: Sendable {
        package var pool: PostgresPool
        package var kafka: KafkaConnection
        package var topics: EngineTopics
        package var launcher: any JobLauncher
        package var environment: JobEnvironment
        package var catalog: SymbolCatalog
        package var policy: EnginePolicy
        package var exchangeCost: ExchangeCost
        package var upkeep: Upkeep.Parts
        /// What attempts have written, after their jobs are gone.
        package var logs: any LogStore
        package var modelFiles = ModelFiles.nowhere
        /// Names this replica among others, e.g. host and process.
        package var replica: String
        package var host: String
        /// 0 takes a free one.
        package var port: Int
        package var logger: Logger
        package var metrics: PrometheusRegistry
        package var health: HealthState
        package var crashPoints: CrashPoints
        package var newTraceparent: @Sendable () -> String
        /// Unix seconds, for people.
        package var clock: @Sendable () -> Double

        package init(
            pool: PostgresPool, kafka: KafkaConnection, topics: EngineTopics, launcher: any JobLauncher,
            environment: JobEnvironment, catalog: SymbolCatalog, policy: EnginePolicy,
            exchangeCost: ExchangeCost, upkeep: Upkeep.Parts, replica: String,
            host: String, port: Int, logger: Logger, metrics: PrometheusRegistry, health: HealthState,
            crashPoints: CrashPoints, newTraceparent: @escaping @Sendable () -> String,
            clock: @escaping @Sendable () -> Double
        ) {
            self.pool = pool
            self.kafka = kafka
            self.topics = topics
            self.launcher = launcher
            self.environment = environment
            self.catalog = catalog
            self.policy = policy
            self.exchangeCost = exchangeCost
            self.upkeep = upkeep
            logs = PostgresLogStore(pool)
            self.replica = replica
            self.host = host
            self.port = port
            self.logger = logger
            self.metrics = metrics
            self.health = health
            self.crashPoints = crashPoints
            self.newTraceparent = newTraceparent
            self.clock = clock
        }
    }

    private let parts: Parts
    private let store: EngineStore
    private let observe: EngineObserver
    private let reconcile: Wakeups
    private let commands: Wakeups
    private let announcer = WorkAnnouncer()
    private let plannedWakeups = PlannedWork.Signals()
    private let ends = QueueEnds()

    private typealias Creator = GroupCommit<NewQueue, EngineStore.Creation>

    /// Starts that share a transaction, and those that may wait for one.
    private static let createsMax = 200
    private static let createsWaitingMax = 5_000

    package init(_ parts: Parts) {
        self.parts = parts
        store = EngineStore(parts.pool, limits: parts.policy.limits)
        observe = EngineObserver(logger: parts.logger, factory: parts.metrics)
        let announcer = announcer
        reconcile = Wakeups { announcer.announce(.reconcile) }
        commands = Wakeups { announcer.announce(.commands) }
    }

    /// Prepares database and topics, then gives the services to run; they end on graceful shutdown.
    ///
    /// - Parameter onListening: told the port once the API answers.
    package func prepare(
        onListening: @escaping @Sendable (_ port: Int) async -> Void
    ) async throws -> [any Service] {
        try await store.migrate()
        try await store.dropUnsetLimits()
        let kafka = try await EngineKafka.connect(parts.kafka, topics: parts.topics, observe: kafkaObserver)
        let feed = EventFeed(store: store)
        let upkeep = try Upkeep(
            parts.upkeep, pool: parts.pool, kafka: parts.kafka,
            observe: UpkeepObserver(logger: parts.logger, factory: parts.metrics),
            kafkaObserver: kafkaObserver)
        let reconciler = Reconciler(
            reconcilerParts(kafka.broker, upkeep), wakeups: reconcile, commandWakeups: commands)
        let creator = Creator(batchMax: Self.createsMax, waitingMax: Self.createsWaitingMax) {
            try await reconciler.create($0)
        }
        let start = start(creator)
        let planned = planned(start)
        return [
            kafka,
            EventReader(
                store: store,
                makeSource: { [parts, kafkaObserver] in
                    try kafka.eventSource(parts.kafka, kafkaObserver)
                },
                partitionCount: kafka.broker.eventsPartitions, policy: parts.policy, replica: parts.replica,
                crashPoints: parts.crashPoints,
                changed: { [reconcile, announcer] needsLook in
                    if needsLook { reconcile.signal() }
                    feed.signal()
                    upkeep.feed.signal()
                    announcer.announce(.feed)
                }, looker: reconciler.lookAhead, observe: observe),
            reconciler,
            CommandDispatcher(
                store: store, broker: kafka.broker, wakeups: commands, clock: parts.clock, observe: observe),
            creator,
            planned.scheduleService, planned.backfillService,
            BudgetWatch(budgets: BudgetStore(parts.pool), metrics: parts.metrics, observe: observe),
            InstanceWatch(store: store, metrics: parts.metrics, observe: observe),
            SweepService(
                pool: parts.pool, topics: TopicSweep(store: store, broker: kafka.broker),
                jobs: JobSweep(store: store, launcher: parts.launcher), observe: upkeep.observe),
            removals(upkeep.observe),
            notifier { kinds in
                if kinds.contains(.feed) {
                    feed.signal()
                    upkeep.feed.signal()
                }
            },
            api(start, planned, feed: feed, upkeep: upkeep, onListening: onListening),
        ] + upkeep.services
    }

    private func removals(_ observe: UpkeepObserver) -> ModelRemovals {
        ModelRemovals(store: ModelStore(parts.pool), files: parts.modelFiles, observe: observe)
    }

    private func notifier(_ hear: @escaping @Sendable (WorkKinds) -> Void) -> WorkNotifier {
        WorkNotifier(parts.pool.configuration, announcer, replica: parts.replica, observe: observe) {
            [reconcile, commands] kinds in
            // Only here: what was heard is not told again.
            if kinds.contains(.reconcile) { reconcile.signalHere() }
            if kinds.contains(.commands) { commands.signalHere() }
            hear(kinds)
        }
    }

    private func reconcilerParts(_ broker: EngineBroker, _ upkeep: Upkeep) -> ReconcilerParts {
        var reconciler = ReconcilerParts(
            store: store, broker: broker, launcher: parts.launcher, environment: parts.environment,
            policy: parts.policy, replica: parts.replica, crashPoints: parts.crashPoints, observe: observe)
        reconciler.onEnd = { [ends] in ends.announce($0) }
        reconciler.collectDeadLetters = { try await upkeep.collector.drain($0, $1, runs: $2) }
        return reconciler
    }

    private func api(
        _ start: StartQueue, _ planned: PlannedWork, feed: EventFeed, upkeep: Upkeep,
        onListening: @escaping @Sendable (_ port: Int) async -> Void
    ) -> some Service {
        let router = Router()
        router.add(middleware: ErrorMiddleware(observe: observe))
        ServiceRoutes.add(to: router, health: parts.health, metrics: parts.metrics)
        TemplateRoutes(store: TemplateStore(parts.pool)).add(to: router)
        ModelRoutes(store: ModelStore(parts.pool), removals: removals(upkeep.observe)).add(to: router)
        planned.add(to: router)
        QueueRoutes(
            store: store, start: start, reconcile: reconcile, feed: feed, ends: ends, cost: parts.exchangeCost
        ).add(to: router)
        RetryRoutes(store: store, reconcile: reconcile).add(to: router)
        LogRoutes(store: store, logs: parts.logs, launcher: parts.launcher).add(to: router)
        upkeep.add(to: router)
        SemaphoreRoutes(store: store, reconcile: reconcile).add(to: router)
        BudgetRoutes(budgets: BudgetStore(parts.pool)).add(to: router)
        var quiet = parts.logger
        quiet.logLevel = max(parts.logger.logLevel, .notice)
        return Application(
            router: router,
            configuration: .init(
                address: .hostname(parts.host, port: parts.port), serverName: "streamforge-queue-manager"),
            onServerRunning: { [parts] channel in
                parts.health.markStarted()
                guard let port = channel.localAddress?.port else { return }
                parts.logger.info(
                    "Listened for requests", metadata: ["host": "\(parts.host)", "port": "\(port)"])
                await onListening(port)
            }, logger: quiet)
    }

    private func start(_ creator: Creator) -> StartQueue {
        StartQueue(
            store: store, templates: TemplateStore(parts.pool),
            models: ModelPins(store: ModelStore(parts.pool)),
            catalog: parts.catalog,
            newTraceparent: parts.newTraceparent, clock: { [parts] in Int64(parts.clock() * 1_000) },
            observe: observe, create: { try await creator.submit($0) })
    }

    private func planned(_ start: StartQueue) -> PlannedWork {
        PlannedWork(
            pool: parts.pool, starter: QueueStarter(start, store: store, reconcile: reconcile),
            cost: parts.exchangeCost, replica: parts.replica, wakeups: plannedWakeups,
            observe: ScheduleObserver(logger: parts.logger, factory: parts.metrics), observeLoop: observe)
    }

    private var kafkaObserver: KafkaObserver {
        let telemetry = KafkaTelemetry(logger: parts.logger, metrics: parts.metrics)
        return { telemetry($0) }
    }
}
