import Foundation
import KafkaBridge
import ServiceRuntime
import Testing
import Workflow

/// Commands to attempts that a pool runs, or is about to run.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct PoolControlTests {
    @Test func `a stop ends one instance in good order and no other`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a")
            let queues = [try PoolStage.queue(1), try PoolStage.queue(2)]
            for queue in queues { try await stage.offer(queue, attempt: 2, ["DUMMY_SECONDS": "3600"]) }
            _ = try await stage.events("both run") { $0.count == 2 }
            // For another attempt, and then with a lower number than one seen: neither counts.
            try await stage.command(.stop, queues[0], seq: 5, attempt: 1)
            try await stage.command(.stop, queues[0], seq: 4, attempt: 2)
            try await stage.command(.ping, queues[0], seq: 6)
            let pongs = try await stage.events("the pong") { !$0.isEmpty }
            #expect(pongs.map(\.event) == [.pong] && pongs.first?.queueID == queues[0])
            try await stage.command(.stop, queues[0], seq: 7, attempt: 2)
            let events = try await stage.events("the end") { $0.last?.finished == true }
            #expect(events.map(\.queueID) == [queues[0]])
            #expect(events.last?.status == .interrupted && events.last?.reason == EndReason.stopped.rawValue)
            #expect(await stage.stop(worker) == .code(0))
            let last = try await stage.restOfEvents()
            #expect(last.map(\.status) == [.interrupted])
            #expect(last.first?.queueID == queues[1])
        }
    }

    @Test func `an offer that was stopped since its launch is dropped without a word`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a", slots: 1)
            let (busy, stopped) = (try PoolStage.queue(1), try PoolStage.queue(2))
            try await stage.offer(busy, ["DUMMY_SECONDS": "3600"])
            _ = try await stage.events("the first runs") { $0.count == 1 }
            // It waits for the one slot when its stop comes.
            let offset = try await stage.controlEnd(stopped)
            try await stage.offer(stopped, controlOffset: offset, ["DUMMY_SECONDS": "3600"])
            try await stage.command(.stop, stopped, attempt: 1)
            try await stage.command(.stop, busy)
            _ = try await stage.until("it is dropped") {
                let name = "pool_offers_dropped_total{reason=\"superseded\"}"
                return try await stage.metric(name, of: worker) == 1 ? true : nil
            }
            // The next attempt is another one.
            let next = try await stage.controlEnd(stopped)
            try await stage.offer(stopped, attempt: 2, controlOffset: next)
            let events = try await stage.events("the next finishes") { $0.last?.status == .finished }
            #expect(events.map(\.queueID) == [busy, stopped, stopped])
            #expect(events.dropFirst().allSatisfy { $0.attempt == 2 })
            #expect(await stage.stop(worker) == .code(0))
        }
    }

    @Test func `stops from before the worker's start are read, and count from the launch on`() async throws {
        try await PoolStage.with { stage in
            let (stopped, older) = (try PoolStage.queue(1), try PoolStage.queue(2))
            // What was sent before the launch does not concern the attempt.
            try await stage.command(.stop, older)
            let olderOffset = try await stage.controlEnd(older)
            try await stage.offer(older, controlOffset: olderOffset)
            let offset = try await stage.controlEnd(stopped)
            try await stage.offer(stopped, controlOffset: offset)
            try await stage.command(.stop, stopped)
            for seq in 2...20 {
                try await stage.command(.ping, try PoolStage.queue(Int(seq)), seq: Int64(seq))
            }
            let worker = try await stage.startWorker("pool-a")
            let events = try await stage.events("the other runs") { $0.last?.finished == true }
            _ = try await stage.until("the stopped one is dropped") {
                let name = "pool_offers_dropped_total{reason=\"superseded\"}"
                return try await stage.metric(name, of: worker) == 1 ? true : nil
            }
            #expect(events.map(\.queueID) == [older, older])
            #expect(try await stage.metric("pool_control_gaps_total", of: worker) >= 1)
            #expect(await stage.stop(worker) == .code(0))
            #expect(try await stage.restOfEvents().isEmpty)
        }
    }

    @Test func `SIGTERM ends running instances as interrupted and leaves untaken offers to others`()
        async throws
    {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a", slots: 2)
            let running = [try PoolStage.queue(1), try PoolStage.queue(2)]
            for queue in running { try await stage.offer(queue, ["DUMMY_SECONDS": "3600"]) }
            _ = try await stage.events("both run") { $0.count == 2 }
            let left = try PoolStage.queue(3)
            let handle = try await stage.offer(left)
            #expect(await stage.stop(worker) == .code(0))
            let ends = try await stage.restOfEvents()
            #expect(ends.map(\.status) == [.interrupted, .interrupted])
            #expect(ends.allSatisfy { $0.reason == EndReason.stopped.rawValue })
            #expect(try await stage.launcher.state(of: handle) == .queued)
            let next = try await stage.startWorker("pool-a")
            let events = try await stage.events("the other worker runs it") { $0.last?.finished == true }
            #expect(events.last?.queueID == left)
            #expect(await stage.stop(next) == .code(0))
        }
    }

    @Test func `bad settings fail their own instance for good, bytes that are no offer nothing`() async throws
    {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a")
            let (bad, good) = (try PoolStage.queue(1), try PoolStage.queue(2))
            try await stage.offer(good, ["DUMMY_SECONDS": "3600"])
            try await stage.offer(bytes: Array("{\"queue_id\":\"no\"}".utf8))
            try await stage.offer(bad, ["DUMMY_SECONDS": "a while"])
            let events = try await stage.events("the error") { $0.contains { $0.status == .error } }
            let error = try #require(events.first { $0.status == .error })
            #expect(error.queueID == bad && error.reason == EndReason.final.rawValue && error.finished)
            #expect(error.error?.contains("DUMMY_SECONDS: \"a while\" is not right") == true)
            #expect(!events.contains { $0.queueID == bad && $0.status == .started })
            let dropped = "pool_offers_dropped_total{reason=\"unreadable\"}"
            #expect(try await stage.metric(dropped, of: worker) == 1)
            try await stage.command(.stop, good)
            _ = try await stage.events("the good one ends") { $0.last?.status == .interrupted }
            #expect(await stage.stop(worker) == .code(0))
        }
    }

    @Test func `an instance that fails or dies silently does not hurt the others`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a")
            let (failing, silent, good) = (
                try PoolStage.queue(1), try PoolStage.queue(2), try PoolStage.queue(3)
            )
            try await stage.offer(failing, ["DUMMY_FAIL_AFTER_SECONDS": "0", "DUMMY_SECONDS": "10"])
            try await stage.offer(silent, ["DUMMY_EXIT_AFTER_SECONDS": "0", "DUMMY_SECONDS": "10"])
            _ = try await stage.until("both are over") {
                try await stage.metric("pool_instances_ended_total", of: worker) == 2 ? true : nil
            }
            try await stage.offer(good)
            let events = try await stage.events("the good one finishes") { $0.last?.status == .finished }
            #expect(events.filter { $0.queueID == failing }.map(\.status) == [.started, .error])
            #expect(events.filter { $0.queueID == silent }.map(\.status) == [.started])
            #expect(await stage.stop(worker) == .code(0))
        }
    }
}
