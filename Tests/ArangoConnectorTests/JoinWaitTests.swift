import KafkaBridge
import Testing

@testable import ArangoConnector

/// A member that is told nothing asks again.
struct JoinWaitTests {
    private let start = ContinuousClock.now
    private let limit = Duration.seconds(10)

    private func isOver(_ wait: JoinWait, after pause: Duration, limit: Duration?) -> Bool {
        do throws(KafkaError) {
            try wait.check(now: start + pause, limit: limit)
            return false
        } catch {
            return error.isRetriable
        }
    }

    @Test func `a member that joined and heard nothing within the limit begins anew`() {
        var wait = JoinWait()
        #expect(!isOver(wait, after: .seconds(99), limit: limit))
        wait.joined(at: start)
        #expect(!isOver(wait, after: .seconds(9), limit: limit))
        #expect(isOver(wait, after: .seconds(10), limit: limit))
        // Another topic that came meanwhile is no answer.
        wait.joined(at: start + .seconds(9))
        #expect(isOver(wait, after: .seconds(10), limit: limit))
    }

    @Test func `one that was given its share, be it nothing, stays`() {
        var wait = JoinWait()
        wait.joined(at: start)
        wait.answered()
        #expect(!isOver(wait, after: .seconds(99), limit: limit))
        wait.joined(at: start + .seconds(50))
        #expect(!isOver(wait, after: .seconds(99), limit: limit))
    }

    @Test func `a member without a name waits`() {
        var wait = JoinWait()
        wait.joined(at: start)
        #expect(!isOver(wait, after: .seconds(99), limit: nil))
    }
}
