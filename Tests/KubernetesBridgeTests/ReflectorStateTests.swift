import KubernetesBridge
import Testing

struct ReflectorStateTests {
    private var state = ReflectorState(
        backoff: Backoff(first: .seconds(1), longest: .seconds(8)))

    private func error(_ code: KubernetesError.Code, retryAfter: Duration? = nil) -> KubernetesError {
        KubernetesError(code, operation: "watch jobs", detail: "", retryAfter: retryAfter)
    }

    @Test mutating func `lists page by page, then watches from the list's version`() {
        #expect(ReflectorState.first == .list(after: nil))
        #expect(state.apply(.listed(version: "7", next: "more"), draw: 0) == .list(after: "more"))
        #expect(state.apply(.listed(version: "7", next: nil), draw: 0) == .watch(from: "7"))
    }

    @Test mutating func `a watch that ended in good order goes on from the last version seen`() {
        _ = state.apply(.listed(version: "7", next: nil), draw: 0)
        #expect(state.apply(.seen(version: "9"), draw: 0) == nil)
        let next = state.apply(.watchEnded(lived: .seconds(300), nil, isOld: false), draw: 0)
        #expect(next == .watch(from: "9"))
    }

    @Test mutating func `a watch that was cut waits a little, and longer each time`() {
        _ = state.apply(.listed(version: "7", next: nil), draw: 0)
        for seconds in [1, 2, 4, 8, 8] {
            let next = state.apply(
                .watchEnded(lived: .milliseconds(10), error(.unavailable), isOld: false), draw: 0)
            #expect(next == .wait(.seconds(seconds)))
            #expect(state.apply(.waited, draw: 0) == .watch(from: "7"))
        }
    }

    @Test mutating func `a watch that lived well makes the next wait short again`() {
        _ = state.apply(.listed(version: "7", next: nil), draw: 0)
        for _ in 0..<3 {
            _ = state.apply(.watchEnded(lived: .zero, error(.unavailable), isOld: false), draw: 0)
        }
        let next = state.apply(
            .watchEnded(lived: .seconds(6), error(.unavailable), isOld: false), draw: 0)
        #expect(next == .wait(.seconds(1)))
    }

    @Test mutating func `410 Gone brings a new list`() {
        _ = state.apply(.listed(version: "7", next: nil), draw: 0)
        let long = state.apply(.watchEnded(lived: .seconds(60), error(.expired), isOld: false), draw: 0)
        #expect(long == .list(after: nil))
        #expect(state.version == nil)
        _ = state.apply(.listed(version: "8", next: nil), draw: 0)
        let short = state.apply(.watchEnded(lived: .zero, error(.expired), isOld: false), draw: 0)
        #expect(short == .wait(.seconds(1)))
        #expect(state.apply(.waited, draw: 0) == .list(after: nil))
    }

    @Test mutating func `a list that expired under way begins anew at once`() {
        _ = state.apply(.listed(version: "7", next: "more"), draw: 0)
        #expect(state.apply(.listFailed(error(.expired)), draw: 0) == .list(after: nil))
    }

    @Test mutating func `a list that failed waits as long as the server asks`() {
        let busy = error(.tooManyRequests, retryAfter: .seconds(17))
        #expect(state.apply(.listFailed(busy), draw: 0) == .wait(.seconds(17)))
        #expect(state.apply(.waited, draw: 0) == .list(after: nil))
        #expect(state.apply(.listFailed(error(.unavailable)), draw: 0) == .wait(.seconds(2)))
    }

    @Test mutating func `lists anew when that is due, also after a good watch`() {
        _ = state.apply(.listed(version: "7", next: nil), draw: 0)
        let next = state.apply(.watchEnded(lived: .seconds(300), nil, isOld: true), draw: 0)
        #expect(next == .list(after: nil))
    }

    @Test mutating func `an empty version is never watched from`() {
        _ = state.apply(.listed(version: "7", next: nil), draw: 0)
        _ = state.apply(.seen(version: ""), draw: 0)
        #expect(state.version == "7")
    }
}

struct BackoffTests {
    @Test func `doubles up to the longest wait, and chance takes at most half of it`() {
        var backoff = Backoff(first: .seconds(1), longest: .seconds(5))
        #expect(backoff.next(draw: 0) == .seconds(1))
        #expect(backoff.next(draw: 1) == .seconds(1))
        #expect(backoff.next(draw: 0.5) == .seconds(3))
        #expect(backoff.next(draw: 0) == .seconds(5))
        backoff.reset()
        #expect(backoff.next(draw: 0) == .seconds(1))
    }

    @Test func `thousands of failures do not overflow`() {
        var backoff = Backoff(first: .seconds(1), longest: .seconds(30))
        for _ in 0..<10_000 { _ = backoff.next(draw: 0) }
        #expect(backoff.next(draw: 0) == .seconds(30))
    }
}

struct TokenBucketTests {
    @Test func `lets a burst go at once, then one at a time`() {
        var bucket = TokenBucket(perSecond: 10, burst: 2, now: .zero)
        #expect(bucket.take(now: .zero) == .zero)
        #expect(bucket.take(now: .zero) == .zero)
        #expect(bucket.take(now: .zero) == .milliseconds(100))
        #expect(bucket.take(now: .zero) == .milliseconds(200))
        // Their places are paid by the time that passes.
        #expect(bucket.take(now: .milliseconds(300)) == .zero)
    }

    @Test func `does not save up more than a burst`() {
        var bucket = TokenBucket(perSecond: 10, burst: 2, now: .zero)
        #expect(bucket.take(now: .seconds(100)) == .zero)
        #expect(bucket.take(now: .seconds(100)) == .zero)
        #expect(bucket.take(now: .seconds(100)) == .milliseconds(100))
    }

    @Test func `a server's pause holds everybody, and a longer one in force stays`() {
        var bucket = TokenBucket(perSecond: 10, burst: 5, now: .zero)
        bucket.hold(.seconds(3), now: .seconds(1))
        bucket.hold(.seconds(1), now: .seconds(1))
        #expect(bucket.take(now: .seconds(2)) == .seconds(2))
        #expect(bucket.take(now: .seconds(4)) == .zero)
    }

    @Test func `a place that was given back is free again`() {
        var bucket = TokenBucket(perSecond: 1, burst: 1, now: .zero)
        #expect(bucket.take(now: .zero) == .zero)
        #expect(bucket.take(now: .zero) == .seconds(1))
        bucket.giveBack()
        #expect(bucket.take(now: .zero) == .seconds(1))
    }
}
