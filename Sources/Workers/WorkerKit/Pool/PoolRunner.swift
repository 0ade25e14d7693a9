import KafkaBridge
import Logging
import ServiceRuntime
import Synchronization
import Workflow

/// Runs what was taken: each offer as an attempt with a context of its own, over clients that all share.
struct PoolRunner: Sendable {
    /// A kind with what is the same for each of its instances.
    struct Kind: Sendable {
        let kind: WorkerKind
        let table: SettingsTable
        let offered: OfferedEnvironment
        /// Of this process's environment what the kind reads: connections, secrets, defaults.
        let environment: [String: String]

        init(_ kind: WorkerKind, environment: [String: String]) {
            self.kind = kind
            table = WorkerProgram.table(kind)
            offered = OfferedEnvironment(table: table)
            let names = Set(table.settings.flatMap { [$0.name] + $0.aliases }.flatMap { [$0, "\($0)_FILE"] })
            self.environment = environment.filter { names.contains($0.key) }
        }
    }

    let kinds: [Target: Kind]
    let control: PoolControl
    let producer: RenewingProducer
    let slots: PoolSlots
    let live: LiveRuns
    let eventsTopic: String
    let lease: Duration
    let metrics: PrometheusRegistry
    let crashPoints: CrashPoints
    let observe: PoolObserver
    /// E.g. `node-1/4711`; each run adds its number.
    let workerID: String

    /// Returns when all of them have ended and said so.
    func run(_ taken: TakenBatch) async {
        let (batch, at) = (taken.offers, ContinuousClock.now)
        let more: [Int32: [SeenStops.Stop]]
        do throws(KafkaError) {
            more = try await control.prepare(taken)
        } catch {
            // Whether they were stopped is not known: nothing may begin. The engine makes new attempts.
            await each(batch) { await fail($0, WorkerFailure(.retriable, "\(error)"), taken: at) }
            return
        }
        await each(batch) { await run($0, more[$0.controlPartition] ?? [], taken: at) }
    }

    private func each(_ batch: [TakenOffer], _ body: @escaping @Sendable (TakenOffer) async -> Void) async {
        await withDiscardingTaskGroup { group in
            for offer in batch {
                group.addTask {
                    await body(offer)
                    slots.give()
                    observe.slotsUsed(slots.used)
                }
            }
        }
    }

    private func run(_ taken: TakenOffer, _ more: [SeenStops.Stop], taken at: ContinuousClock.Instant) async {
        let run = live.nextNumber()
        let attempt: AttemptRun
        do throws(WorkerFailure) {
            attempt = try make(taken, run)
        } catch {
            return await fail(taken, error, taken: at)
        }
        let queue = taken.offer.queueID
        // At most: commands read, stops of each kind, the end of the work.
        let (inputs, feed) = AttemptRun.Inputs.makeStream(bufferingPolicy: .bufferingOldest(Self.inputsMax))
        let identity = attempt.context.identity
        let listener = PoolControl.Listener(
            filter: CommandFilter(queueID: queue, instance: identity.instance, attempt: identity.attempt),
            feed: feed, telemetry: attempt.context.telemetry)
        guard control.admit(taken, run: run, listener, more) else {
            observe(.dropped(1, .superseded))
            return
        }
        let end: WorkerEnd
        if live.add(run, feed) {
            end = await attempt.runAtOnce(inputs, feed)
        } else {
            // We are about to leave: it is taken, so it is ours to say that it did not run.
            feed.yield(.stop(.signal))
            end = await attempt.report(await attempt.drive(inputs, feed))
        }
        live.remove(run)
        control.leave(queue, run: run)
        attempt.observe(.ended(end))
        observe(.ended(end, took: .now - at))
    }

    /// Says how an attempt ended that could not begin.
    private func fail(_ taken: TakenOffer, _ failure: WorkerFailure, taken at: ContinuousClock.Instant) async
    {
        let identity = WorkerIdentity(taken.offer, workerID: workerID(live.nextNumber()))
        let observer = observe.ofInstance(logger(identity))
        let telemetry = telemetry(
            identity, eventsTopic, LeaseState(lease: lease),
            taken.offer.traceparent.flatMap(Traceparent.init),
            HealthState(), observer)
        var end = WorkerEnd(.failed(InstanceCounts(), failure))
        do {
            if let report = end.report {
                try await telemetry.sendFinal(report, limit: AttemptRun.Limits().final)
            }
        } catch {
            end.exitCode = .retriable
        }
        observer(.ended(end))
        observe(.ended(end, took: .now - at))
    }

    // MARK: - Making an attempt

    private static let inputsMax = 16

    private func make(_ taken: TakenOffer, _ run: UInt64) throws(WorkerFailure) -> AttemptRun {
        let offer = taken.offer
        guard let kind = kinds[offer.target] else {
            throw WorkerFailure(.final, "this pool does not run \(offer.target.rawValue)")
        }
        let values = try settings(offer, kind, run)
        let body: WorkerKind.Body
        do {
            body = try kind.kind.make(values)
        } catch {
            throw WorkerFailure(.final, "settings were refused: \(error)")
        }
        let identity = WorkerIdentity(values, kind: kind.kind.name)
        let context = context(identity, values)
        return AttemptRun(
            context: context, body: body, observe: observe.ofInstance(context.logger))
    }

    /// The worker's own environment with the offer's variables over it.
    private func settings(
        _ offer: PoolOffer, _ kind: Kind, _ run: UInt64
    ) throws(WorkerFailure) -> SettingValues {
        if let name = kind.offered.refused(in: offer.environment) {
            throw WorkerFailure(.final, "\(name) was offered: a secret or a file's path must not be")
        }
        if let topic = offer.environment[TopicSettings.control.name], topic != control.topic {
            throw WorkerFailure(
                .final,
                "\(TopicSettings.control.name): the offer says \(topic), this pool reads \(control.topic)")
        }
        var environment = kind.environment
        for (name, value) in offer.environment {
            environment[name] = value
            environment["\(name)_FILE"] = nil
        }
        environment[WorkerSettings.workerID.name] = workerID(run)
        let observe = observe
        let reader = SettingsReader(environment: environment) { problem in
            observe.logger.warning(
                "Kept a setting whose file is not right", metadata: ["error": "\(problem)"])
        }
        do throws(SettingsError) {
            return try reader.read(kind.table)
        } catch {
            throw WorkerFailure(.final, "settings were refused: \(error)")
        }
    }

    private func context(_ identity: WorkerIdentity, _ values: SettingValues) -> WorkerContext {
        let logger = logger(identity)
        let observer = observe.ofInstance(logger)
        let lease = LeaseState(lease: values[WorkerSettings.lease], isRenewed: false)
        let traceparent = values[WorkerSettings.traceparent]
        // Its own: what one instance cannot reach says nothing about the others.
        let health = HealthState()
        let password = values.watched(KafkaSettings.password)
        return WorkerContext(
            identity: identity, settings: values,
            connection: {
                KafkaConnection(values, clientID: identity.producerID, password: password.current())
            },
            kafkaObserver: { observer(.kafka($0)) }, stop: StopSignal(), lease: lease,
            crashPoints: crashPoints,
            logger: logger, metrics: metrics, health: health, traceparent: traceparent, isPooled: true,
            telemetry: telemetry(
                identity, values[TopicSettings.events], lease, traceparent, health, observer))
    }

    private func telemetry(
        _ identity: WorkerIdentity, _ topic: String, _ lease: LeaseState, _ traceparent: Traceparent?,
        _ health: HealthState, _ observer: WorkerObserver
    ) -> Telemetry {
        Telemetry(
            sender: EventSender(
                identity: identity, producer: producer, topic: topic, lease: lease, traceparent: traceparent),
            limits: Telemetry.Limits(lease: lease.duration), crashPoints: crashPoints, health: health,
            observe: observer)
    }

    private func logger(_ identity: WorkerIdentity) -> Logger {
        var logger = observe.logger
        for (key, value) in identity.logFields { logger[metadataKey: key] = "\(value)" }
        return logger
    }

    private func workerID(_ run: UInt64) -> String { "\(workerID)/\(run)" }
}

/// The attempts that run, to be told when the process is to leave.
final class LiveRuns: Sendable {
    private struct State {
        var isStopping = false
        var feeds: [UInt64: AttemptRun.Inputs.Continuation] = [:]
        var number: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Numbers of runs, from 1.
    func nextNumber() -> UInt64 {
        state.withLock { state in
            state.number += 1
            return state.number
        }
    }

    /// - Returns: false when nothing begins any more.
    func add(_ run: UInt64, _ feed: AttemptRun.Inputs.Continuation) -> Bool {
        state.withLock { state in
            guard !state.isStopping else { return false }
            state.feeds[run] = feed
            return true
        }
    }

    func remove(_ run: UInt64) { state.withLock { $0.feeds[run] = nil } }

    /// Stops those that run, and keeps others from beginning.
    ///
    /// - Returns: how many ran.
    func stopAll() -> Int {
        let feeds = state.withLock { state in
            state.isStopping = true
            return Array(state.feeds.values)
        }
        for feed in feeds { feed.yield(.stop(.signal)) }
        return feeds.count
    }
}
