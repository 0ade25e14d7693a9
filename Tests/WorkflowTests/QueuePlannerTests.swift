import Testing
import Workflow

/// What a queue needs next, line by line, on one symbol that is loaded and stored.
struct QueuePlannerTests {
    private typealias State = InstanceMachine.State

    private struct Given {
        var status = QueueStatus.running
        var load = State.running
        var store = State.running
        var isStopRequested = false
        /// Milliseconds.
        var elapsed: Int64 = 0
        var queueTimeout: Int64?
        var storeTimeout: Int64?
        var notBefore: Int64 = 0
        var counts: (written: Int64, read: Int64) = (1, 1)
        var run = 1
        /// What the reader said beside its counts.
        var extra: [String: JSONValue] = [:]
        /// Seconds since the loader finished.
        var finishedFor: Int64 = 0
        var transport = Transport.dedicated
    }

    private static let now: Int64 = 1_000_000

    private func id(_ step: String) throws -> InstanceID {
        InstanceID(step: try #require(StepID(step)), instance: "BTCUSDT")
    }

    private func decide(_ given: Given) throws -> [QueuePlanner.Decision] {
        let (load, store) = (try id("load"), try id("store"))
        var plan = Plan(
            symbols: ["BTCUSDT"], timeRange: "2024-08-01:2024-08-01",
            steps: [
                PlannedStep(
                    id: load.step, target: .loaderAPICandles, type: "api_candles_5m", interval: .minute5),
                PlannedStep(
                    id: store.step, target: .arangoConnector, type: "api_candles_5m", interval: .minute5,
                    input: load.step, timeoutSeconds: given.storeTimeout),
            ], timeoutSeconds: given.queueTimeout)
        plan.transport = given.transport
        func instance(_ state: State, written: Int64 = 0, read: Int64 = 0) -> QueueSnapshot.Instance {
            QueueSnapshot.Instance(
                machine: InstanceMachine(
                    state: state, attempt: state == .waiting ? 0 : 1,
                    reason: state == .skipped ? SkipReason.conditionNotMet : nil, attemptsMax: 3),
                counts: InstanceCounts(recordsRead: read, recordsWritten: written),
                notBefore: given.notBefore, isStopRequested: given.isStopRequested, elapsed: given.elapsed,
                extra: read > 0 ? given.extra : [:],
                finishedAt: state == .finished ? Self.now - given.finishedFor * 1_000 : nil)
        }
        return QueuePlanner.decide(
            QueueSnapshot(
                status: given.status, run: given.run, plan: plan,
                instances: [
                    load: instance(given.load, written: given.counts.written),
                    store: instance(given.store, read: given.counts.read),
                ], now: Self.now, elapsed: given.elapsed))
    }

    @Test func `a new queue is prepared, then both sides are launched together`() throws {
        #expect(try decide(Given(status: .pending)) == [.prepare])
        #expect(
            try decide(Given(load: .waiting, store: .waiting)) == [
                .launch(try id("load")), .launch(try id("store")),
            ])
        #expect(try decide(Given()) == [])
    }

    @Test func `an attempt that is held back is looked at again in time`() throws {
        #expect(
            try decide(Given(load: .waiting, notBefore: Self.now + 50)) == [.lookAgain(at: Self.now + 50)])
    }

    @Test func `a paused queue tells what runs to end, once, and launches nothing`() throws {
        #expect(
            try decide(Given(status: .paused, load: .running, store: .starting)) == [
                .suspend(try id("load")), .suspend(try id("store")),
            ])
        #expect(try decide(Given(status: .paused, isStopRequested: true)) == [])
        #expect(try decide(Given(status: .paused, load: .waiting, store: .finished)) == [])
    }

    @Test func `a stopping queue cancels what is left and ends when nothing is`() throws {
        #expect(
            try decide(Given(status: .stopping, load: .finished)) == [
                .cancel(try id("store"), reason: "stop_requested")
            ])
        #expect(
            try decide(Given(status: .stopping, load: .finished, store: .interrupted)) == [
                .end(.stopped, reason: nil)
            ])
    }

    @Test func `limits of time are told ahead and kept`() throws {
        #expect(
            try decide(Given(elapsed: 400, queueTimeout: 2, storeTimeout: 1)) == [
                .lookAgain(at: Self.now + 600)
            ])
        #expect(
            try decide(Given(elapsed: 1_000, queueTimeout: 2, storeTimeout: 1)) == [
                .cancel(try id("store"), reason: "timed_out")
            ])
        #expect(
            try decide(Given(elapsed: 2_000, queueTimeout: 2)) == [
                .cancel(try id("load"), reason: "queue_timed_out"),
                .cancel(try id("store"), reason: "queue_timed_out"),
            ])
        // What is over cannot be late.
        #expect(
            try decide(Given(load: .finished, store: .finished, elapsed: 9_000, queueTimeout: 2)) == [
                .end(.finished, reason: nil)
            ])
    }

    @Test func `a reader whose producer failed is ended or never begun`() throws {
        #expect(
            try decide(Given(load: .failed)) == [.cancel(try id("store"), reason: "upstream_failed")])
        #expect(
            try decide(Given(load: .failed, store: .waiting)) == [
                .skip(try id("store"), reason: "upstream_failed")
            ])
    }

    @Test(arguments: [State.failed, .interrupted])
    private func `nobody produces for shared connectors what they will not store`(_ over: State) throws {
        var given = Given(load: .running, store: over, transport: .shared)
        #expect(try decide(given) == [.cancel(try id("load"), reason: "downstream_failed")])
        given.load = .waiting
        #expect(try decide(given) == [.skip(try id("load"), reason: "downstream_failed")])
        given.store = .skipped
        #expect(try decide(given) == [.skip(try id("load"), reason: "condition_not_met")])
        given.store = .finished
        #expect(try decide(given) == [.launch(try id("load"))])
        // A topic of its own keeps what is written for a retry.
        given = Given(load: .running, store: over)
        #expect(try decide(given) == [])
    }

    @Test func `a queue is finished only when both sides counted the same`() throws {
        let both = Given(load: .finished, store: .finished)
        #expect(try decide(both) == [.end(.finished, reason: nil)])
        var different = both
        different.counts = (2, 1)
        guard case .end(.failed, let reason?)? = try decide(different).first else {
            Issue.record("it did not fail")
            return
        }
        #expect(reason.contains("load wrote 2 records, store read 1"))
    }

    @Test func `a reader that waits behind the last record of a finished producer has lost its end`() throws {
        var given = Given(load: .finished, counts: (10, 7))
        given.extra = [DataLoss.waitKey: .integer(30)]
        given.finishedFor = 30
        let lost = QueuePlanner.Decision.loseData(
            try id("store"), reason: "load wrote 10 records and an end, the broker holds 7 and no end")
        #expect(try decide(given) == [lost])
        // All records are there; the end marker is not.
        given.counts = (10, 10)
        #expect(try decide(given).count == 1)
        given.counts = (10, 7)
        given.extra = [DataLoss.waitKey: .integer(29)]
        #expect(try decide(given) == [])
        given.extra = [DataLoss.waitKey: .integer(3_000)]
        given.finishedFor = 29
        #expect(try decide(given) == [])
        // The exchange may be slow.
        given.load = .running
        #expect(try decide(given) == [])
    }

    @Test func `a queue whose records were lost runs again, five times at most`() throws {
        var given = Given(store: .failed, counts: (10, 7))
        given.extra = [DataLoss.key: .bool(true)]
        #expect(try decide(given) == [.cancel(try id("load"), reason: "data_lost")])
        given.load = .interrupted
        guard case .runAgain(let reason)? = try decide(given).first else {
            Issue.record("it does not run again")
            return
        }
        #expect(reason.contains("store[BTCUSDT]"))
        given.run = DataLoss.runsMax
        guard case .end(.failed, _)? = try decide(given).first else {
            Issue.record("it runs for ever")
            return
        }
        given.run = 1
        given.extra = [:]
        guard case .end(.failed, _)? = try decide(given).first else {
            Issue.record("it ran again for another reason")
            return
        }
    }

    @Test(arguments: [QueueStatus.finished, .failed, .stopped])
    func `a final queue needs nothing`(status: QueueStatus) throws {
        #expect(try decide(Given(status: status)) == [])
    }

    @Test func `a queue moves only along its ways`() {
        let ways: [QueueStatus: Set<QueueStatus>] = [
            .pending: [.running, .paused, .stopping, .failed],
            .running: [.paused, .stopping, .finished, .failed],
            .paused: [.running, .pending, .stopping], .stopping: [.stopped],
        ]
        for from in QueueStatus.allCases {
            let reached = Set(QueueStatus.allCases.filter { from.mayBecome($0) })
            #expect(reached == ways[from] ?? [], "\(from)")
        }
    }
}
