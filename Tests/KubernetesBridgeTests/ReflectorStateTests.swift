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

    @Test mutating func `a pause that a server asks for is bounded, and never shorter than our own`() {
        let forever = error(.tooManyRequests, retryAfter: .seconds(86_400))
        #expect(state.apply(.listFailed(forever), draw: 0) == .wait(.seconds(60)))
        _ = state.apply(.waited, draw: 0)
        let atOnce = error(.tooManyRequests, retryAfter: .zero)
        #expect(state.apply(.listFailed(atOnce), draw: 0) == .wait(.seconds(2)))
        _ = state.apply(.listed(version: "7", next: nil), draw: 0)
        let ended = state.apply(.watchEnded(lived: .zero, atOnce, isOld: false), draw: 0)
        #expect(ended == .wait(.seconds(4)))
        let late = state.apply(.watchEnded(lived: .seconds(9), forever, isOld: true), draw: 0)
        #expect(late == .wait(.seconds(60)))
    }

    @Test mutating func `lists that expire again and again are not asked for without a pause`() {
        #expect(state.apply(.listFailed(error(.expired)), draw: 0) == .list(after: nil))
        #expect(state.apply(.listFailed(error(.expired)), draw: 0) == .wait(.seconds(2)))
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
    private var bucket = TokenBucket(perSecond: 10, burst: 2, now: .zero)

    private mutating func take(_ now: Duration, waitMax: Duration = .seconds(60)) -> Duration? {
        bucket.take(now: now, waitMax: waitMax)
    }

    @Test mutating func `lets a burst go at once, then one at a time`() {
        #expect(take(.zero) == .zero)
        #expect(take(.zero) == .zero)
        #expect(take(.zero) == .milliseconds(100))
        #expect(take(.zero) == .milliseconds(200))
        // Their places are paid by the time that passes.
        #expect(take(.milliseconds(300)) == .zero)
    }

    @Test mutating func `does not save up more than a burst`() {
        #expect(take(.seconds(100)) == .zero)
        #expect(take(.seconds(100)) == .zero)
        #expect(take(.seconds(100)) == .milliseconds(100))
    }

    @Test mutating func `a server's pause holds everybody, and a longer one in force stays`() {
        bucket = TokenBucket(perSecond: 10, burst: 5, now: .zero)
        bucket.hold(.seconds(3), now: .seconds(1))
        bucket.hold(.seconds(1), now: .seconds(1))
        #expect(take(.seconds(2)) == .seconds(2))
        #expect(take(.seconds(4)) == .zero)
    }

    @Test mutating func `whoever would wait for longer than it has takes no place in the line`() {
        _ = take(.zero)
        _ = take(.zero)
        #expect(take(.zero, waitMax: .milliseconds(100)) == .milliseconds(100))
        #expect(take(.zero, waitMax: .milliseconds(100)) == nil)
        #expect(take(.zero, waitMax: .milliseconds(200)) == .milliseconds(200))
        bucket.hold(.seconds(50), now: .seconds(5))
        #expect(take(.seconds(5), waitMax: .seconds(20)) == nil)
    }

    @Test func `every purpose has its share, and all of them are all there is`() {
        let shares = RequestPurpose.allCases.map(\.share)
        #expect(shares.allSatisfy { $0 > 0 } && abs(shares.reduce(0, +) - 1) < 1e-9)
    }

    @Test mutating func `a place that was given back is free again`() {
        bucket = TokenBucket(perSecond: 1, burst: 1, now: .zero)
        #expect(take(.zero) == .zero)
        #expect(take(.zero) == .seconds(1))
        bucket.giveBack()
        #expect(take(.zero) == .seconds(1))
    }
}
