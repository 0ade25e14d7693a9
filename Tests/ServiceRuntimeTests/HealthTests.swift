import ServiceRuntime
import Synchronization
import Testing

struct HealthTests {
    @Test func `is started once and for all`() {
        let health = HealthState()
        #expect(health.report(.startup).reasons == ["still starting"])
        #expect(!health.report(.ready).isOK)
        health.markStarted()
        #expect(health.report(.startup).isOK && health.report(.ready).isOK)
    }

    @Test func `is ready when every part is`() {
        let health = HealthState()
        health.markStarted()
        health.setReady("store", problem: "no answer")
        health.setReady("kafka", problem: "away")
        #expect(health.report(.ready).reasons == ["kafka: away", "store: no answer"])
        #expect(health.report(.live).isOK)
        health.setReady("kafka")
        health.setReady("store")
        #expect(health.report(.ready).isOK)
    }

    @Test func `is live as long as its loops turn within their limits`() {
        let clock = ManualClock()
        let health = HealthState(now: { clock.now })
        #expect(health.report(.live).isOK)
        health.beat("reader", limit: .seconds(10))
        clock.advance(.seconds(10))
        #expect(health.report(.live).isOK)
        clock.advance(.seconds(2))
        #expect(health.report(.live).reasons == ["reader: no sign of life for 12 s"])
        health.beat("reader", limit: .seconds(10))
        #expect(health.report(.live).isOK)
        clock.advance(.seconds(60))
        health.endBeat("reader")
        #expect(health.report(.live).isOK)
    }
}

private final class ManualClock: Sendable {
    private let instant = Mutex(ContinuousClock.now)
    var now: ContinuousClock.Instant { instant.withLock { $0 } }
    func advance(_ duration: Duration) { instant.withLock { $0 += duration } }
}

struct TraceparentTests {
    private static let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func `reads and writes the standard's own example`() throws {
        let trace = try #require(Traceparent(Self.text))
        #expect(trace.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(trace.parentID == "00f067aa0ba902b7")
        #expect(trace.isSampled)
        #expect(trace.description == Self.text)
    }

    @Test(arguments: [
        "", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
    ])
    func `refuses what the standard calls invalid`(text: String) {
        #expect(Traceparent(text) == nil)
    }

    @Test func `reads a later version as far as this one goes`() {
        #expect(Traceparent("cc" + Self.text.dropFirst(2) + "-more")?.description == Self.text)
    }

    @Test func `makes a child of the same trace with a parent of its own`() throws {
        var random = CountingGenerator()
        let trace = Traceparent.new(using: &random)
        let child = trace.child(using: &random)
        #expect(child.traceID == trace.traceID && child.parentID != trace.parentID)
        #expect(Traceparent(child.description) == child)
    }
}

/// Different numbers, the same each time. (ThreadSanitizer cannot follow a generator without a state of its own.)
private struct CountingGenerator: RandomNumberGenerator {
    private var state: UInt64 = 0

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return state
    }
}
