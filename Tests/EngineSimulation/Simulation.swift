import MarketData
import QueueManager
import Workflow

/// What one seed came to.
package struct SimulationReport: Sendable {
    package var seed: UInt64
    package var steps = 0
    package var faults = 0
    package var faultKinds: [String: Int] = [:]
    package var lookKinds: [String: Int] = [:]
    package var instances = 0
    package var attempts = 0
    package var replicas = 0
    /// Of everything that happened; equal whenever the seed is run again.
    package var digest: UInt64 = 0
    /// nil: everything held.
    package var violation: String?
    /// Only when asked for.
    package var trace: [String] = []
}

/// Runs the real reconciler, event reader, dispatcher and machines over a simulated world with faults.
///
/// Everything that happens follows from the seed: two to five replicas, one to three queues with chains, stream
/// edges and pool steps, people who pause, resume, stop, terminate and retry; calls that fail or take long, answers
/// that get lost, replicas that die between any two effects or stand still, a database that is cut off or put forward
/// in time, a broker that is away, workers that fail, crash or hang, events that come late, twice or as rubbish.
package struct Simulation {
    private let seed: UInt64
    private let world: World
    private let store: MemoryEngineStorage
    private let broker: SimulatedBroker
    private let cluster: SimulatedCluster
    private let sink = SimulatedSink()
    private let judge: Judge
    private let policy: EnginePolicy
    private let replicaCount: Int

    /// Faults and requests happen in this time, in milliseconds; then everything must come to its end.
    private static let faultTime: Int64 = 30_000
    /// Of simulated time, without faults; the longest wait of the policy is 30 s.
    private static let endTime: Int64 = 900_000

    package static func run(
        seed: UInt64, bugs: Set<PlantedBug> = [], keepsTrace: Bool = false
    ) -> SimulationReport {
        Simulation(seed: seed, bugs: bugs, keepsTrace: keepsTrace).run()
    }

    private init(seed: UInt64, bugs: Set<PlantedBug>, keepsTrace: Bool) {
        self.seed = seed
        world = World(seed: seed, keepsTrace: keepsTrace)
        let world = world
        store = MemoryEngineStorage(bugs: bugs) { world.databaseNow }
        broker = SimulatedBroker(world)
        cluster = SimulatedCluster(world, bugs: bugs, hasPool: world.random.chance(0.5))
        policy = EnginePolicy(
            lease: .seconds(6), startLimit: .seconds(8), stopGrace: .seconds(3), topicKeep: .zero)
        replicaCount = world.random.pick(2...5)
        judge = Judge(
            world: world, sink: sink, cluster: cluster, leaseMilliseconds: policy.lease.milliseconds)
    }

    private func run() -> SimulationReport {
        let (cluster, world, broker, sink, store) = (cluster, world, broker, sink, store)
        let lease = policy.lease.milliseconds
        cluster.work = { running in
            guard let plan = store.state(of: running.job.queueID)?.plan else { return }
            let worker = SimulatedWorker(
                world: world, broker: broker, sink: sink, running: running, plan: plan,
                leaseMilliseconds: lease)
            world.spawn { await worker.run() }
        }
        store.onChange = { [judge] in judge.check($0) }
        broker.onDelete = { [judge] in judge.checkDeletion(of: $0, store) }
        store.onHolds = { [judge] in judge.checkHolds($0) }
        store.losesWake = { world.fault("a wake-up of the next in line was lost", 0.05) }
        store.resources.limits = randomLimits()
        store.resources.semaphores = Dictionary(
            uniqueKeysWithValues: ["pair", "trio"].compactMap(ResourceName.init).enumerated().map {
                ($0.element, $0.offset + 2)
            })
        let requests = startRequests()
        let queues = requests.map(\.queueID)
        let replicas = Replicas()
        for number in 0..<replicaCount { keepReplicaAlive(number) { replicas.all.append($0) } }
        breakThings()
        for request in requests { start(request, replicas) }
        for id in queues { bother(id) }
        let end = world.now + Self.faultTime + Self.endTime
        world.run(until: end) {
            // Who stands still may yet do what nobody wants any more, and then the sweep has its turn.
            !world.areFaultsOn && queues.allSatisfy { isOver($0) } && broker.topics.isEmpty
                && !replicas.all.contains { $0.standsStill }
        }
        judge.checkEnd(of: queues, store: store, broker: broker, cluster: cluster)
        let report = report(queues)
        world.isOver = true
        for replica in replicas.all { replica.end() }
        for running in cluster.live { cluster.kill(running, how: "the end") }
        world.drain()
        return report
    }

    private func report(_ queues: [QueueID]) -> SimulationReport {
        var report = SimulationReport(seed: seed)
        report.steps = world.steps
        report.faults = world.faults
        report.faultKinds = world.faultKinds
        report.lookKinds = world.lookKinds
        report.replicas = replicaCount
        report.digest = world.digest
        report.violation = world.violations.first
        report.trace = world.trace
        for id in queues {
            report.instances += store.state(of: id)?.instances.count ?? 0
            report.attempts +=
                store.state(of: id)?.instances.values.reduce(0) { $0 + $1.machine.attempt } ?? 0
        }
        return report
    }

    /// The queue is cleaned up, and its late processes have left.
    private func isOver(_ id: QueueID) -> Bool {
        guard let state = store.state(of: id), state.isCleaned else { return false }
        return store.outbox.isEmpty && cluster.live.allSatisfy { $0.job.queueID != id }
    }

    // MARK: The world

    private func startRequests() -> [NewQueue] {
        (0..<world.random.pick(1...3)).compactMap { number in
            guard let id = QueueID("wf-sim-aaaaa\(number)"), let plan = randomPlan() else { return nil }
            return NewQueue(
                queueID: id, plan: plan, request: .null, asOf: 0, traceparent: nil,
                idempotencyKey: id.rawValue, requestHash: "")
        }
    }

    /// Asks one replica after the other, until one answers.
    private func start(_ request: NewQueue, _ replicas: Replicas) {
        let world = world
        world.spawn {
            await world.sleep(Int64(world.random.pick(0...2_000)))
            while !world.isOver {
                do {
                    let living = replicas.all.filter { !$0.isDead }
                    if let replica = living.randomElement(using: &world.random) {
                        return try await replica.create([request])
                    }
                } catch {
                    world.tell("\(request.queueID) is asked for again: \(error)")
                }
                await world.sleep(Int64(world.random.pick(50...500)))
            }
        }
    }

    private func randomPlan() -> Plan? {
        let symbols = Array(["BTCUSDT", "ETHUSDT", "XRPUSDT"].prefix(world.random.pick(1...3)))
        var steps: [PlannedStep] = []
        func add(_ name: String, _ target: Target, input: StepID? = nil) {
            guard let id = StepID(name) else { return }
            var step = PlannedStep(
                id: id, target: target, type: "api_candles_5m", interval: target.isProducer ? .minute5 : nil,
                input: input, attemptsMax: world.random.pick(3...8))
            step.retry.backoffInitialSeconds = 0.1
            step.retry.backoffMaxSeconds = 2
            if let earlier = steps.randomElement(using: &world.random), input == nil,
                world.random.chance(0.5)
            {
                step.after = [earlier.id]
            }
            if input == nil { addResources(to: &step) }
            if world.random.chance(0.1) { step.timeoutSeconds = Int64(world.random.pick(5...60)) }
            steps.append(step)
        }
        if world.random.chance(0.6) {
            add("load", .loaderAPICandles)
            add("store", .arangoConnector, input: StepID("load"))
        }
        for number in 0..<world.random.pick(steps.isEmpty ? 1...3 : 0...2) {
            add("dummy\(number)", .dummyService)
        }
        var plan = Plan(
            symbols: symbols, timeRange: "2024-08-01:2024-08-01", steps: steps,
            timeoutSeconds: world.random.chance(0.1) ? Int64(world.random.pick(10...90)) : nil)
        plan.priority = world.random.pick(-2...2)
        if steps.contains(where: \.target.isProducer), world.random.chance(0.4) { plan.transport = .shared }
        return plan
    }

    /// Few names, so that queues meet.
    private func addResources(to step: inout PlannedStep) {
        guard world.random.chance(0.4) else { return }
        step.locks = ["one", "two"].filter { _ in world.random.chance(0.4) }.compactMap(ResourceName.init)
        step.semaphores = ["pair", "trio"].filter { _ in world.random.chance(0.3) }.compactMap(
            ResourceName.init)
    }

    private func randomLimits() -> InstanceLimits {
        var limits = InstanceLimits()
        if world.random.chance(0.2) { limits.overall = world.random.pick(2...6) }
        if world.random.chance(0.2) { limits.byTarget[.dummyService] = world.random.pick(1...3) }
        if world.random.chance(0.1) { limits.byTarget[.arangoConnector] = 1 }
        return limits
    }

    /// A dead replica is started again, under another name, until the simulation is over.
    private func keepReplicaAlive(_ number: Int, _ started: @escaping (ReplicaRun) -> Void) {
        let box = Box(started)
        let (world, store, broker, cluster, policy) = (world, store, broker, cluster, policy)
        world.spawn {
            await world.sleep(Int64(world.random.pick(0...500)))
            for run in 0..<1_000 where !world.isOver {
                let replica = ReplicaRun("r\(number).\(run)", world, store, broker, cluster, policy)
                box.value(replica)
                replica.start()
                while !replica.isDead {
                    await world.sleep(1_000)
                    if world.isOver { return replica.end() }
                    if world.fault("replica killed", 0.01) { replica.die() }
                }
                await world.sleep(Int64(world.random.pick(100...6_000)))
            }
        }
    }

    /// Faults that hit everybody.
    private func breakThings() {
        let (world, broker) = (world, broker)
        world.spawn {
            let end = world.now + Self.faultTime
            while world.now < end {
                await world.sleep(Int64(world.random.pick(500...6_000)))
                if world.fault("broker away", 0.08) {
                    broker.goAway(for: Int64(world.random.pick(300...9_000)))
                }
                if world.fault("database clock put forward", 0.05) {
                    // Less than the gap that stops the leases would eat them up: here they are only 6 s long.
                    world.clockJump += Int64(world.random.pick(6_000...120_000))
                }
            }
            world.areFaultsOn = false
        }
    }

    /// People who change their minds.
    private func bother(_ id: QueueID) {
        let (world, store) = (world, store)
        world.spawn {
            while world.areFaultsOn {
                await world.sleep(Int64(world.random.pick(1_000...8_000)))
                guard world.areFaultsOn else { break }
                guard world.random.chance(Self.isOver(id, in: store) ? 0.5 : 0.25) else { continue }
                if Self.isOver(id, in: store) {
                    Self.retry(id, in: store, world)
                    continue
                }
                let draw = world.random.pick(0...9)
                let request: QueueRequest =
                    draw < 5 ? .pause : draw < 8 ? .resume : draw < 9 ? .stop : .terminate
                world.tell("asked to \(request.rawValue) \(id): \(store.request(request, of: id))")
            }
            // Nobody forgets a paused queue.
            _ = store.request(.resume, of: id)
        }
    }

    private static func isOver(_ id: QueueID, in store: MemoryEngineStorage) -> Bool {
        store.state(of: id)?.status.isFinal ?? false
    }

    private static func retry(_ id: QueueID, in store: MemoryEngineStorage, _ world: World) {
        let steps = store.state(of: id)?.plan.steps.map(\.id) ?? []
        let from = world.random.chance(0.5) ? steps.randomElement(using: &world.random) : nil
        world.tell(
            "asked to retry \(id) from \(from?.rawValue ?? "what failed"): "
                + "\(store.retry(RetryRequest(from: from), of: id))")
    }
}

/// All that ever ran.
///
/// `@unchecked`: lives on the simulation's one thread.
private final class Replicas: @unchecked Sendable {
    var all: [ReplicaRun] = []
}

/// Lets a closure that is only called on the simulation's thread into a task.
private struct Box<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}
