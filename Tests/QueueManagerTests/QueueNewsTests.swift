import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(1)))
struct QueueNewsTests {
    private let news = QueueNews()

    private func claim(_ token: String = "t") throws -> QueueClaim {
        QueueClaim(queueID: try #require(QueueID("wf-news-abc123")), token: token)
    }

    @Test func `what is told before a wait ends it at once, and only once`() async throws {
        let claim = try claim()
        news.open(claim)
        news.tell([claim.queueID])
        news.tell([claim.queueID])
        await news.wait(for: claim)
        async let second: Void = news.wait(for: claim)
        news.tell([claim.queueID])
        await second
        news.close(claim)
    }

    @Test func `the end of a place ends its wait, and leaves those of other claims`() async throws {
        let (old, new) = (try claim("old"), try claim("new"))
        news.open(old)
        news.open(new)
        async let waited: Void = news.wait(for: old)
        news.close(old)
        await waited
        // Nobody is there any more: no wait.
        await news.wait(for: old)
        news.tell([new.queueID])
        await news.wait(for: new)
        news.close(new)
    }
}
