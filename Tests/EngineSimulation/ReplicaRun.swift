import Logging
import Metrics
import QueueManager
import ServiceRuntime
import Workflow

/// One life of a queue-manager replica, from its start to its death; the next life has another name.
///
/// `@unchecked`: lives on the simulation's one thread.
final class ReplicaRun: @unchecked Sendable {
    let name: String
    private let world: World
    private let store: MemoryEngineStorage
    private let broker: SimulatedBroker
    private let cluster: SimulatedCluster
    private let policy: EnginePolicy
    private(set) var isDead = false
    private var reconciler: Reconciler?
    /// Until then the replica stands still, as after SIGSTOP.
    private var standsUntil: Int64 = 0
    /// Until then the database does not answer this replica.
    private var isCutUntil: Int64 = 0

    private static let observer = EngineObserver(
        logger: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() },
        factory: NOOPMetricsHandler.instance)

    init(
        _ name: String, _ world: World, _ store: MemoryEngineStorage, _ broker: SimulatedBroker,
        _ cluster: SimulatedCluster, _ policy: EnginePolicy
    ) {
        self.name = name
        self.world = world
        self.store = store
        self.broker = broker
        self.cluster = cluster
        self.policy = policy
    }

    func die() {
        guard !isDead else { return }
        isDead = true
        world.note(fault: "replica killed")
    }

    /// Whether something it began before it came to a stand may still follow.
    var standsStill: Bool { !isDead && standsUntil >= world.now }

    /// Ends it without a fault, at the simulation's end.
    func end() { isDead = true }

    // MARK: Requests

    /// Creates queues as a request to this replica does.
    func create(_ queues: [NewQueue]) async throws {
        guard let reconciler, !isDead else { throw SimulatedFailure(description: "nobody answers") }
        _ = try await reconciler.create(queues)
    }

    // MARK: Calls

    /// A call sets out: it takes time, may never arrive, and the replica may die before it.
    func reach(_ system: String, _ name: String) async throws {
        await world.sleep(Int64(world.random.pick(0...4)))
        if isDead { throw SimulatedFailure(description: "the replica is dead") }
        if world.fault("replica killed before a call", Chances.death) { isDead = true }
        if world.fault("replica stopped for a while", Chances.stall) {
            standsUntil = world.now + Int64(world.random.pick(1_000...8_000))
        }
        if name == "create topic", world.fault("replica stopped before it made a topic", Chances.stallAtTopic)
        {
            standsUntil = max(standsUntil, world.now + Int64(world.random.pick(2_000...20_000)))
        }
        if system == "database", world.fault("database cut", Chances.cut) {
            isCutUntil = world.now + Int64(world.random.pick(500...6_000))
        }
        if standsUntil > world.now { await world.sleep(standsUntil - world.now) }
        try check(system, name)
        if world.fault("\(system) call failed", Chances.failure) {
            throw SimulatedFailure(description: "\(system) did not take \(name)")
        }
    }

    /// The answer comes back: it takes time, may get lost, and the replica may be dead by then.
    func answer(_ system: String, _ name: String) async throws {
        await world.sleep(Int64(world.random.pick(0...4)))
        if world.fault("replica killed after a call", Chances.death) { isDead = true }
        try check(system, name)
        if world.fault("\(system) answer lost", Chances.lostAnswer) {
            throw SimulatedFailure(description: "the answer of \(system) to \(name) got lost")
        }
    }

    private func check(_ system: String, _ name: String) throws {
        if isDead { throw SimulatedFailure(description: "the replica is dead") }
        if system == "database", world.now < isCutUntil {
            throw SimulatedFailure(description: "the database does not answer \(name)")
        }
    }

    private enum Chances {
        static let death = 0.0006
        static let stall = 0.0006
        /// Few calls, and what they make nobody else looks after.
        static let stallAtTopic = 0.05
        static let cut = 0.0006
        static let failure = 0.002
        static let lostAnswer = 0.002
    }

    // MARK: Loops

    /// Runs the engine's loops as its services do, turn by turn, until it dies.
    func start() {
        let storage = FaultyStorage(store, world, self)
        let port = broker.port(for: self)
        let world = world
        var parts = ReconcilerParts(
            store: storage, broker: port, launcher: cluster.launcher(for: self),
            environment: JobEnvironment(
                controlTopic: SimulatedBroker.controlTopic, eventsTopic: SimulatedBroker.eventsTopic),
            policy: policy, replica: name, crashPoints: .off, observe: Self.observer)
        parts.jitter = { world.random.chance(0.5) ? 0 : 1 }
        // As if some queues were large: they are looked at while their effects are under way.
        parts.stepwiseFrom = world.random.chance(0.5) ? 4 : parts.stepwiseFrom
        let reconciler = Reconciler(parts)
        reconciler.setCarrier { [weak self] claimed in
            guard let self, let reconciler = self.reconciler, !isDead else { return false }
            world.spawn { await reconciler.carryOut(claimed) }
            return true
        }
        self.reconciler = reconciler
        let dispatcher = CommandDispatcher(
            store: storage, broker: port, wakeups: Wakeups(), clock: { 0 }, observe: Self.observer)
        let reader = EventReader(
            store: storage, makeSource: { self.broker.source(for: self) },
            partitionCount: SimulatedBroker.partitionCount, policy: policy, replica: name, crashPoints: .off,
            jitter: { 1 }, changed: { _ in }, looker: reconciler.lookAhead, observe: Self.observer)
        repeatTurns(pause: 0) {
            if try await reconciler.round() > 0 { return }
            let wait = try await storage.millisecondsToNextLook(limit: 1_000)
            await world.sleep(max(wait, 5))
        }
        repeatTurns(pause: 1_000) { try await reconciler.renewClaims() }
        repeatTurns(pause: 5_000) { try await reconciler.refreshControlEnds() }
        reconciler.setHeldTicker { [self] in
            world.spawn {
                while !self.isDead, reconciler.tickHeld() { await world.sleep(100) }
                if self.isDead { reconciler.closeHeld() }
            }
        }
        repeatTurns(pause: 500) { while try await dispatcher.turn() > 0 {} }
        repeatTurns(pause: 500) { try await self.read(reader) }
        sweep(storage, port)
    }

    private func sweep(_ storage: FaultyStorage, _ port: EngineBroker) {
        guard !store.bugs.contains(.noSweep) else { return }
        let world = world
        let topics = TopicSweep(store: storage, broker: port, deletesMax: 2, queuesMax: 2)
        let jobs = JobSweep(
            store: storage, launcher: cluster.launcher(for: self), grace: .seconds(5), killsMax: 2)
        repeatTurns(pause: 10_000) {
            let report = try await topics.round()
            for orphan in report.deleted { world.tell("swept \(orphan.topic)") }
            for owner in try await jobs.round() { world.tell("swept \(owner.queueID)/\(owner.id)") }
        }
    }

    private func read(_ reader: EventReader) async throws {
        var session = EventSession(reader: reader, source: broker.source(for: self))
        var renewed = Int64.min / 2
        while !isDead {
            if world.now - renewed >= 1_000 {
                try await session.renew()
                renewed = world.now
            }
            try await session.turn(timeout: .milliseconds(250))
        }
    }

    private func repeatTurns(pause: Int64, _ turn: @escaping @Sendable () async throws -> Void) {
        world.spawn { [self] in
            while !isDead {
                do {
                    try await turn()
                    await world.sleep(pause)
                } catch {
                    await world.sleep(500)
                }
            }
        }
    }
}
