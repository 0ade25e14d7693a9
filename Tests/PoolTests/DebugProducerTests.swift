import DebugProducer
import Synchronization
import Testing
import Workflow

struct RoundTripsTests {
    @Test func `tells least, median and most of all answers`() throws {
        var trips = RoundTrips()
        #expect(trips.spread == nil && !trips.isComplete)
        trips.add([.milliseconds(5)])
        trips.add([.milliseconds(1), .milliseconds(9)])
        let odd = try #require(trips.spread)
        #expect(odd == (.milliseconds(1), .milliseconds(5), .milliseconds(9)) && trips.isComplete)
        trips.add([.milliseconds(7)])
        #expect(try #require(trips.spread).median == .milliseconds(6))
    }

    @Test func `is complete only when every ping was answered`() {
        var trips = RoundTrips()
        trips.add([.milliseconds(5)])
        trips.add([])
        #expect(!trips.isComplete && trips.sent == 2 && trips.answered == 1)
    }
}

@Suite(.serialized, .timeLimit(.minutes(2)))
struct DebugProducerTests {
    @Test func `pings a worker, stops it, and hears nothing from one that is not there`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a")
            let queue = try PoolStage.queue(1)
            try await stage.offer(queue, ["DUMMY_SECONDS": "3600"])
            _ = try await stage.events("it runs") { $0.count == 1 }
            let debug = DebugProducer(
                stage.connection, controlTopic: stage.controlTopic, eventsTopic: stage.eventsTopic)
            let answers = Mutex<[[DebugProducer.Pong]]>([])
            try await debug.ping(
                .init(queueID: queue, target: .dummyService), count: 3, interval: .zero,
                timeout: PoolStage.limit
            ) { _, pongs in answers.withLock { $0.append(pongs) } }
            #expect(answers.withLock { $0.map(\.count) } == [1, 1, 1])
            let pong = try #require(answers.withLock { $0.first?.first })
            #expect(pong.event.queueID == queue && pong.roundTrip > .zero)

            let nobody = Mutex<[Int]>([])
            for address in [
                DebugProducer.Address(queueID: try PoolStage.queue(2)),
                .init(queueID: queue, target: .arangoConnector),
            ] {
                try await debug.ping(address, count: 1, interval: .zero, timeout: .milliseconds(300)) {
                    _, pongs in
                    nobody.withLock { $0.append(pongs.count) }
                }
            }
            #expect(nobody.withLock { $0 } == [0, 0])

            // Neither is a debug command ignored after the engine's, nor the engine's after it.
            try await stage.command(.ping, queue, seq: 5)
            try await debug.send(.start, to: .init(queueID: queue))
            try await debug.send(.stop, to: .init(queueID: queue, instance: "BTCUSDT"), reason: "by hand")
            let events = try await stage.events("it stops") { $0.last?.finished == true }
            #expect(events.last?.status == .interrupted)
            #expect(await stage.stop(worker) == .code(0))
        }
    }
}
