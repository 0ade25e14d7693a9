import Testing
import Workflow

@testable import QueueManager

/// Instances that connectors store which all queues share: attempts without a launch.
struct SharedTransportTests {
    private func rig(symbols: [String] = [StateRig.symbol]) throws -> StateRig {
        var rig = try StateRig(.loaderAPICandles, symbols: symbols)
        var plan = rig.queue.plan
        plan.transport = .shared
        rig.queue = .new(
            NewQueue(
                queueID: rig.queue.queueID, plan: plan, request: .null, asOf: 1, traceparent: nil,
                idempotencyKey: nil, requestHash: ""))
        rig.apply(.begin)
        rig.queue.changes = QueueChanges()
        return rig
    }

    private func store(_ rig: StateRig) -> InstanceID {
        rig.queue.plan.instances[rig.queue.plan.symbols.count]
    }

    private func say(
        _ rig: inout StateRig, _ status: QueueEvent.Status, seq: Int64, attempt: Int = 1,
        reason: EndReason? = nil,
        counts: InstanceCounts = InstanceCounts()
    ) -> Bool {
        let id = store(rig)
        return rig.queue.apply(
            QueueEvent(
                status: status, reason: reason?.rawValue, queueID: rig.queue.queueID, step: id.step,
                instance: id.instance, attempt: attempt, seq: seq, producer: "p",
                workerID: DerivedName.connectorGroup, symbol: "BTCUSDT", type: "t", message: "m",
                counts: counts,
                timestamp: 1),
            rig.context)
    }

    @Test func `only the loader is launched, and the other side says what it waits for`() throws {
        var rig = try rig()
        #expect(rig.look().effects == ["launch work[BTCUSDT]/1"])
        let machine = try #require(rig.queue.instances[store(rig)]?.machine)
        #expect(machine.state == .starting && machine.attempt == 1)
        #expect(machine.reason == "it waits for connectors of market-candles")
        #expect(rig.history.filter { $0 == "attempt_held" }.count == 1)
    }

    @Test func `looks go on as if it were not there: no lease, no limit to its start`() throws {
        var rig = try rig()
        rig.look()
        rig.apply(.launched(rig.attempt, JobHandle(launcher: "quiet", fields: [:])))
        rig.say(.started, seq: 1)
        rig.say(.finished, seq: 2)
        rig.apply(.jobGone(rig.attempt))
        rig.now += 86_400_000
        rig.caughtUpAt = rig.now
        let looked = rig.look()
        #expect(looked.effects.isEmpty && looked.lookAgain == nil)
        #expect(rig.queue.instances[store(rig)]?.machine.state == .starting)
    }

    @Test func `what connectors say counts, the first last word stands, and both counts must agree`() throws {
        var rig = try rig()
        rig.look()
        let counts = InstanceCounts(recordsRead: 5, recordsWritten: 5)
        #expect(say(&rig, .loading, seq: 3))
        #expect(rig.queue.instances[store(rig)]?.machine.state == .running)
        #expect(say(&rig, .finished, seq: 9, counts: counts))
        #expect(!say(&rig, .finished, seq: 9, counts: counts))
        #expect(!say(&rig, .error, seq: 12, reason: .final))
        #expect(rig.queue.instances[store(rig)]?.machine.state == .finished)
        rig.apply(.launched(rig.attempt, JobHandle(launcher: "quiet", fields: [:])))
        rig.say(.finished, seq: 2, counts: InstanceCounts(recordsRead: 5, recordsWritten: 5))
        rig.apply(.jobGone(rig.attempt))
        rig.look()
        #expect(rig.queue.status == .finished)
        #expect(rig.queue.attempts.values.allSatisfy { $0.isGone })
    }

    @Test func `a stop ends it at once, and its command still goes out`() throws {
        var rig = try rig()
        rig.look()
        rig.request(.stop)
        rig.look()
        let machine = try #require(rig.queue.instances[store(rig)]?.machine)
        #expect(machine.state == .interrupted && machine.reason == "stop_requested")
        #expect(rig.commands.contains { $0.hasSuffix("BTCUSDT/1 stop_requested") })
        #expect(!say(&rig, .finished, seq: 9))
        rig.sendStops()
        rig.look()
        #expect(rig.queue.attempts[AttemptID(store(rig), 1)]?.isGone == true)
    }

    @Test func `a pause leaves it: connectors store what is written`() throws {
        var rig = try rig()
        rig.look()
        rig.request(.pause)
        rig.look()
        #expect(rig.queue.instances[store(rig)]?.machine.state == .starting)
        #expect(rig.queue.attempts[AttemptID(store(rig), 1)]?.stopRequestedAt == nil)
        #expect(say(&rig, .finished, seq: 9))
        #expect(rig.queue.instances[store(rig)]?.machine.state == .finished)
    }

    @Test func `a loader that fails takes it along`() throws {
        var rig = try rig()
        rig.look()
        rig.apply(.launched(rig.attempt, JobHandle(launcher: "quiet", fields: [:])))
        rig.say(.error, seq: 2, reason: .final, error: "no such symbol")
        rig.apply(.jobGone(rig.attempt))
        rig.look()
        let machine = try #require(rig.queue.instances[store(rig)]?.machine)
        #expect(machine.state == .interrupted && machine.reason == "upstream_failed")
        #expect(rig.queue.status == .failed)
    }

    @Test func `a failure of it is final, and a retry of the queue has both sides begin anew`() throws {
        var rig = try rig()
        rig.look()
        rig.apply(.launched(rig.attempt, JobHandle(launcher: "quiet", fields: [:])))
        rig.say(
            .finished, seq: 2,
            counts: InstanceCounts(recordsRead: 5, recordsWritten: 5, lastKey: "k", lastSeq: 5))
        rig.apply(.jobGone(rig.attempt))
        #expect(say(&rig, .error, seq: 9, reason: .retriable))
        rig.look()
        #expect(rig.queue.status == .failed)
        rig.apply(.retry(from: nil, actor: "api"))
        rig.apply(.begin)
        #expect(rig.look().effects == ["launch work[BTCUSDT]/2"])
        let live = try #require(rig.live)
        let jobs = JobEnvironment(controlTopic: "c", eventsTopic: "e")
        let environment = try #require(jobs.environment(of: live, in: rig.queue))
        #expect(environment["SINK_ATTEMPT"] == "2" && environment["RESUME_SEQ"] == nil)
    }

    @Test func `a loader is told who stores its records, and where the one before it was`() throws {
        var rig = try rig()
        rig.look()
        let jobs = JobEnvironment(controlTopic: "c", eventsTopic: "e")
        let one = try #require(rig.live)
        let first = try #require(jobs.environment(of: one, in: rig.queue))
        #expect(first["TRANSPORT"] == "shared" && first["KAFKA_TOPIC"] == "market-candles")
        #expect(first["SINK_STEP"] == "store" && first["SINK_INSTANCE"] == "BTCUSDT")
        #expect(first["SINK_ATTEMPT"] == "1" && first["KAFKA_PARTITIONS"] == nil)
        #expect(first["COLLECTION_NAME"] == "btcusdt_api_candles_5m_2024_08_01")
        #expect(first["DEAD_LETTERS_MAX"] == "1000" && first["RESUME_KEY"] == nil)
        rig.apply(.launched(rig.attempt, JobHandle(launcher: "quiet", fields: [:])))
        let id = rig.id
        _ = rig.queue.apply(
            QueueEvent(
                status: .loading, queueID: rig.queue.queueID, step: id.step, instance: id.instance,
                attempt: 1,
                seq: 2, producer: "p", workerID: "w", symbol: "s", type: "t", message: "m",
                counts: InstanceCounts(recordsRead: 7, recordsWritten: 7, lastKey: "key7", lastSeq: 7),
                extra: ["first_key": .string("key1")], timestamp: 1), rig.context)
        rig.say(.error, seq: 3, worker: "w", reason: .retriable)
        rig.apply(.jobGone(rig.attempt))
        rig.now += 60_000
        #expect(rig.look().effects == ["launch work[BTCUSDT]/2"])
        let two = try #require(rig.live)
        let second = try #require(jobs.environment(of: two, in: rig.queue))
        #expect(second["RESUME_KEY"] == "key7" && second["RESUME_SEQ"] == "7")
        #expect(second["RESUME_FIRST_KEY"] == "key1" && second["SINK_ATTEMPT"] == "1")
    }

    @Test func `no loader begins before its records have somebody to go to`() throws {
        var rig = try rig(symbols: ["A", "B", "C"])
        rig.policy.launchesMax = 2
        let looked = rig.look()
        #expect(looked.effects.count == 2)
        for (id, instance) in rig.queue.instances where instance.machine.attempt > 0 {
            guard let sink = rig.queue.plan.sink(of: id) else { continue }
            #expect(rig.queue.instances[sink]?.machine.attempt == 1)
        }
    }

    @Test func `its topics are made where they are missing, and never deleted`() throws {
        let rig = try rig()
        let topics = SharedTopics().specifications(for: rig.queue.plan)
        #expect(topics.map(\.name) == ["market-candles", "market-candles-dead"])
        #expect(topics.map(\.partitions) == [12, 1])
        #expect(topics[0].configuration["retention.ms"] == "604800000")
        #expect(rig.queue.plan.topics(rig.queue.queueID, runs: 3).isEmpty)
    }
}
