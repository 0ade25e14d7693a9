import Logging
import PostgresBridge
import ServiceRuntime
import Synchronization
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// The real engine over a real database, with a broker and a launcher that tests look into.
struct EngineFixture: Sendable {
    let store: EngineStore
    let launcher = RecordingLauncher()
    let broker: EngineBroker
    let sent = Recorded<ControlCommand>()
    let topics = Recorded<String>()
    /// Partitions of the topics that were created.
    let topicPartitions = Recorded<Int32>()
    let deleted = Recorded<String>()
    /// The end of the events partition as the broker tells it.
    let eventsEnd = Mutable<Int64>(0)
    let isBrokerAway = Mutable(false)
    let observer = EngineObserver(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, factory: PrometheusRegistry())
    let policy = EnginePolicy(
        lease: .seconds(30), startLimit: .seconds(60), stopGrace: .milliseconds(200), topicKeep: .zero)

    static let replica = "test-replica"

    init(_ pool: PostgresPool, limits: InstanceLimits = InstanceLimits()) async throws {
        store = EngineStore(pool, limits: limits)
        try await store.migrate()
        let (sent, topics, deleted, eventsEnd) = (sent, topics, deleted, eventsEnd)
        let topicPartitions = topicPartitions
        let isBrokerAway = isBrokerAway
        broker = EngineBroker(
            createTopic: { name, partitions, _ in
                topics.append(name)
                topicPartitions.append(partitions)
            }, deleteTopics: { $0.forEach(deleted.append) }, topicNames: { topics.all },
            endOffset: { topic, _ in
                if isBrokerAway.value { throw FixtureError(detail: "the broker is away") }
                return topic == "queue-events" ? eventsEnd.value : 0
            },
            controlEnds: {
                if isBrokerAway.value { throw FixtureError(detail: "the broker is away") }
                return [Int64](repeating: 0, count: 12)
            },
            send: { sent.append($0) }, controlTopic: "queue-control", eventsTopic: "queue-events",
            controlPartitions: 12, eventsPartitions: 12)
    }

    var reconciler: Reconciler {
        Reconciler(
            ReconcilerParts(
                store: store, broker: broker, launcher: launcher,
                environment: JobEnvironment(controlTopic: "queue-control", eventsTopic: "queue-events"),
                policy: policy, replica: Self.replica, crashPoints: .off, observe: observer))
    }

    /// Creates a queue of one symbol that loads and stores.
    func createQueue(
        _ suffix: String = "abc123", symbols: [String] = ["BTCUSDT"], timeoutSeconds: Int64? = nil
    ) async throws -> QueueID {
        var fields: [String: JSONValue] = [
            "symbols": .array(symbols.map { .string($0) }), "type": .string("api_candles_5m"),
            "time_range": .string("2024-08-01:2024-08-01"),
        ]
        if let timeoutSeconds { fields["timeout_seconds"] = .integer(timeoutSeconds) }
        let body = JSONValue.object(fields)
        let id = try #require(QueueID("wf-test-\(suffix)"))
        let creation = try await store.create(
            NewQueue(
                queueID: id, plan: try PlanBuilder().build(body), request: body, asOf: 1_725_148_800_000,
                traceparent: nil, idempotencyKey: nil, requestHash: "hash"))
        guard case .created = creation else { throw FixtureError(detail: "not created: \(creation)") }
        return id
    }

    /// Runs rounds until `condition` holds.
    func reconcile(
        _ id: QueueID, until condition: @Sendable (QueueRow, [InstanceRow]) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        let reconciler = reconciler
        while ContinuousClock.now < deadline {
            if let (queue, instances) = try await store.queue(id), condition(queue, instances) { return }
            try await reconciler.roundOrWait()
        }
        let state = try await store.queue(id)
        throw FixtureError(detail: "not reached: \(String(describing: state))")
    }

    /// Applies one event as if it were read from the topic.
    @discardableResult
    func apply(_ event: QueueEvent, look: EventLook? = nil) async throws -> ApplyReport {
        let partition = broker.eventPartition(of: event.queueID)
        let place = try #require(try await ownPartitions().partitions.first { $0.partition == partition })
        let batch = EventBatch(
            from: place, events: [ReadEvent(offset: place.nextOffset, event: event)],
            nextOffset: place.nextOffset + 1)
        return try await store.apply([batch], owner: Self.replica, look: look) { queue, event, facts in
            queue.apply(event, OperationContext(now: facts.now, policy: policy, jitter: 0))
        }
    }

    @discardableResult
    func ownPartitions(caughtUp: [Int32] = [], upTo: Int64 = 0) async throws -> PartitionRenewal {
        try await store.renewPartitions(count: 12, owner: Self.replica, caughtUp: caughtUp, upTo: upTo)
    }

    func event(
        _ id: QueueID, _ step: String, _ status: QueueEvent.Status, attempt: Int = 1, seq: Int64,
        worker: String = "w1", counts: InstanceCounts = InstanceCounts(), reason: EndReason? = nil,
        instance: String = "BTCUSDT"
    ) throws -> QueueEvent {
        QueueEvent(
            status: status, reason: reason?.rawValue, queueID: id, step: try #require(StepID(step)),
            instance: instance, attempt: attempt, seq: seq, producer: "p", workerID: worker, symbol: instance,
            type: "api_candles_5m", message: "m", counts: counts, timestamp: 1)
    }
}

extension Reconciler {
    /// A round; when nothing was due, a wait until something is.
    func roundOrWait() async throws {
        guard try await round() == 0 else { return }
        let wait = try await parts.store.millisecondsToNextLook(limit: 100)
        await wakeups.wait(atMost: .milliseconds(max(wait, 5)))
    }
}

struct FixtureError: Error { var detail: String }

final class Recorded<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    @Sendable func append(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

final class Mutable<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>
    init(_ value: Value) { stored = Mutex(value) }
    var value: Value {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }
}

/// Starts nothing; tells what it was asked and answers as the test says.
final class RecordingLauncher: JobLauncher {
    let name = "recording"
    let ends = AsyncStream<QueueID> { $0.finish() }
    private let state = Mutex((launched: [String](), ended: Set<String>(), killed: [String]()))
    private let jobs = Mutex<[String: [String: String]]>([:])
    /// What the newest attempt of each instance was told, by `step[instance]`.
    var environments: [String: [String: String]] { jobs.withLock { $0 } }

    /// So many launches, and so many kills, are answered with the error.
    let refusals = Mutable<(launches: Int, kills: Int, error: LaunchError?)>((0, 0, nil))

    /// Launches of these are not answered as long as they stand here.
    let unanswered = Mutable<Set<String>>([])

    /// What there is beside, as the test says.
    let inSight = Mutable<[JobInSight]>([])

    var launched: [String] { state.withLock { $0.launched } }
    var killed: [String] { state.withLock { $0.killed } }
    func end(_ job: String) { state.withLock { _ = $0.ended.insert(job) } }

    func isLaunchRepeatable(for target: Target) -> Bool { true }
    func pollInterval(for target: Target) -> Duration? { .milliseconds(10) }

    func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
        if let error = refusals.value.error, refusals.value.launches > 0 {
            refusals.value.launches -= 1
            throw error
        }
        let key = "\(job.id)/\(job.attempt)"
        jobs.withLock { $0[job.id.description] = job.environment }
        state.withLock { if !$0.launched.contains(key) { $0.launched.append(key) } }
        while unanswered.value.contains(key) { try? await Task.sleep(for: .milliseconds(5)) }
        return JobHandle(launcher: name, fields: ["job": key])
    }

    func find(
        _ id: InstanceID, attempt: Int, of queueID: QueueID
    ) async throws(LaunchError) -> JobHandle? {
        let key = "\(id)/\(attempt)"
        return launched.contains(key) ? JobHandle(launcher: name, fields: ["job": key]) : nil
    }

    func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
        state.withLock { $0.ended.contains(handle.fields["job"] ?? "") } ? .ended(how: "signal 9") : .running
    }

    func jobs() async throws(LaunchError) -> [JobInSight] { inSight.value }

    func kill(_ handle: JobHandle) async throws(LaunchError) {
        if let error = refusals.value.error, refusals.value.kills > 0 {
            refusals.value.kills -= 1
            throw error
        }
        state.withLock {
            $0.killed.append(handle.fields["job"] ?? "")
            $0.ended.insert(handle.fields["job"] ?? "")
        }
    }
}
