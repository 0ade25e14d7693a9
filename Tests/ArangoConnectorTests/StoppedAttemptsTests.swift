import Testing
import Workflow

@testable import ArangoConnector

struct StoppedAttemptsTests {
    private func stop(
        _ queue: QueueID, step: String? = nil, instance: String? = nil, attempt: Int? = nil, seq: Int64 = 1,
        _ command: ControlCommand.Command = .stop
    ) -> ControlCommand {
        ControlCommand(
            command: command, queueID: queue, step: step.flatMap { StepID($0) }, instance: instance,
            attempt: attempt, commandID: "c", commandSeq: seq, timestamp: 0)
    }

    @Test func `a stop concerns the attempt it names, and all where it names none`() throws {
        let (one, two) = (try #require(QueueID("wf-a-aaaaa1")), try #require(QueueID("wf-a-aaaaa2")))
        let id = InstanceID(step: try #require(StepID("store")), instance: "BTCUSDT")
        var stopped = StoppedAttempts()
        stopped.note(stop(one, step: "store", instance: "BTCUSDT", attempt: 1))
        #expect(stopped.contain(one, id, attempt: 1))
        #expect(!stopped.contain(one, id, attempt: 2))
        #expect(!stopped.contain(two, id, attempt: 1))
        stopped.note(stop(two))
        #expect(stopped.contain(two, id, attempt: 7))
    }

    @Test func `only the engine's stops count: whoever stops by hand does not end the attempt`() throws {
        let queue = try #require(QueueID("wf-a-aaaaa1"))
        let id = InstanceID(step: try #require(StepID("store")), instance: "BTCUSDT")
        var stopped = StoppedAttempts()
        stopped.note(stop(queue, seq: ControlCommand.outOfSequence))
        stopped.note(stop(queue, .ping))
        #expect(!stopped.contain(queue, id, attempt: 1) && stopped.count == 0)
    }

    @Test func `the oldest are forgotten, and repeats take no room`() throws {
        let queues = try (1...4).map { try #require(QueueID("wf-a-aaaaa\($0)")) }
        let id = InstanceID(step: try #require(StepID("store")), instance: "BTCUSDT")
        var stopped = StoppedAttempts(limit: 2)
        for queue in queues {
            stopped.note(stop(queue))
            stopped.note(stop(queue, seq: 2))
        }
        #expect(queues.map { stopped.contain($0, id, attempt: 1) } == [false, false, true, true])
        #expect(stopped.count == 2)
    }
}
