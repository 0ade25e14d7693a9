import Foundation
import KafkaBridge
import ServiceRuntime
import Testing
import Workflow

/// Real pool workers on a real broker.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct PoolWorkerTests {
    @Test func `takes an offer, runs it and says so in two events`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a")
            let queue = try PoolStage.queue(1)
            let handle = try await stage.offer(queue)
            let events = try await stage.events("finished") { $0.last?.finished == true }
            #expect(events.map(\.status) == [.started, .finished])
            #expect(events.map(\.seq) == [1, 2])
            #expect(events.allSatisfy { $0.queueID == queue && $0.attempt == 1 && $0.instance == "BTCUSDT" })
            #expect(Set(events.map(\.workerID)).count == 1)
            try await stage.untilState(.running, of: handle)
            #expect(try await stage.metric("pool_offers_taken_total", of: worker) == 1)
            _ = try await stage.until("the end is counted") {
                let ended = try await stage.metric(
                    "pool_instances_ended_total{outcome=\"finished\"}", of: worker)
                return ended == 1 ? true : nil
            }
            #expect(await stage.stop(worker) == .code(0))
        }
    }

    /// Or a group that was forgotten would look as if all of its topic were waiting.
    @Test func `a worker that joins commits where it begins`() async throws {
        try await PoolStage.with { stage in
            #expect(try await stage.committed().allSatisfy { $0 == nil })
            let worker = try await stage.startWorker("pool-a")
            let positions = try await stage.until("every partition has a position") {
                let all = try await stage.committed()
                return all.isEmpty || all.contains(nil) ? nil : all
            }
            #expect(positions.allSatisfy { $0 == 0 })
            #expect(await stage.stop(worker) == .code(0))
        }
    }

    @Test func `each offer is run once by one of two workers`() async throws {
        try await PoolStage.with { stage in
            let count = 300
            let workers = [
                try await stage.startWorker("pool-a", slots: 8),
                try await stage.startWorker("pool-b", slots: 8),
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<count {
                    group.addTask { try await stage.offer(try PoolStage.queue(number)) }
                }
                try await group.waitForAll()
            }
            let events = try await stage.events("all finished") { $0.filter(\.finished).count >= count }
            for worker in workers { #expect(await stage.stop(worker) == .code(0)) }
            let all = try await events + stage.restOfEvents()
            #expect(all.count == 2 * count && Set(all.map(\.queueID)).count == count)
            #expect(all.filter { $0.status == .finished }.count == count)
            // Each run has a name of its own, also within one worker.
            #expect(Set(all.map(\.workerID)).count == count)
        }
    }

    @Test func `an offer is taken for good although its worker is killed`() async throws {
        try await PoolStage.with { stage in
            let first = try await stage.startWorker("pool-a")
            let taken = try await stage.offer(try PoolStage.queue(1), ["DUMMY_SECONDS": "3600"])
            _ = try await stage.events("started") { $0.count == 1 }
            await stage.crash(first)
            let waiting = try await stage.offer(try PoolStage.queue(2))
            #expect(try await stage.launcher.state(of: waiting) == .queued)
            let second = try await stage.startWorker("pool-a")
            let events = try await stage.events("the second runs") { $0.last?.finished == true }
            #expect(Set(events.map(\.queueID)) == [try PoolStage.queue(2)])
            try await stage.untilState(.running, of: taken)
            #expect(await stage.stop(second) == .code(0))
        }
    }

    @Test func `with no free slot offers wait, and all are run when slots come free`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a", slots: 2)
            let long = [try PoolStage.queue(1), try PoolStage.queue(2)]
            for queue in long { try await stage.offer(queue, ["DUMMY_SECONDS": "3600"]) }
            _ = try await stage.events("both run") { $0.count == 2 }
            let count = 200
            for number in 10..<(10 + count) { try await stage.offer(try PoolStage.queue(number)) }
            // More wait than are read ahead, so reading pauses; the group keeps its member meanwhile.
            _ = try await stage.until("it pauses") {
                worker.text.contains("Paused reading offers") ? true : nil
            }
            #expect(try await stage.restOfEvents().isEmpty)
            for queue in long { try await stage.command(.stop, queue) }
            let events = try await stage.events("all run") { $0.filter(\.finished).count >= count + 2 }
            #expect(events.filter { $0.status == .finished }.count == count)
            #expect(Set(events.filter { $0.status == .interrupted }.map(\.queueID)) == Set(long))
            #expect(await stage.stop(worker) == .code(0))
        }
    }

    @Test func `one long instance holds up nothing`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a", slots: 2)
            let long = try PoolStage.queue(1)
            try await stage.offer(long, ["DUMMY_SECONDS": "3600"])
            for attempt in 1...20 { try await stage.offer(try PoolStage.queue(2), attempt: attempt) }
            // Also those that share its partition.
            for attempt in 2...21 { try await stage.offer(long, attempt: attempt) }
            let events = try await stage.events("the others finish") {
                $0.filter { $0.status == .finished }.count >= 40
            }
            #expect(!events.contains { $0.queueID == long && $0.attempt == 1 && $0.finished })
            #expect(await stage.stop(worker) == .code(0))
        }
    }
}
