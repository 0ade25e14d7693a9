import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(1)))
struct EndHintsTests {
    @Test func `passes the first hint of a queue on at once and later ones together`() async throws {
        let busy = try #require(QueueID("wf-hints-aaaaaa"))
        let other = try #require(QueueID("wf-hints-bbbbbb"))
        let (ends, feed) = AsyncStream.makeStream(of: QueueID.self)
        let (passes, told) = AsyncStream.makeStream(of: QueueID.self)
        var passed = passes.makeAsyncIterator()
        let window = Duration.seconds(1)
        let hints = EndHints(window: window) { told.yield($0) }
        let running = Task { await hints.run(ends) }
        let begun = ContinuousClock.now
        for _ in 0..<5 { feed.yield(busy) }
        feed.yield(other)
        #expect(await passed.next() == busy)
        #expect(await passed.next() == other)
        #expect(await passed.next() == busy)
        #expect(begun.duration(to: .now) >= window)
        feed.yield(other)
        #expect(await passed.next() == other)
        feed.finish()
        await running.value
        told.finish()
        #expect(await passed.next() == nil, "five hints of one window are two")
    }
}
