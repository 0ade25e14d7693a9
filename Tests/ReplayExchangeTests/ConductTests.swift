import Foundation
import HTTPBridge
import MarketData
import ReplayExchange
import Testing

@Suite(.timeLimit(.minutes(3)))
struct ConductTests {
    private static let query = "/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=1000"

    @Test func `a client over its weight gets 429, then 418, with Retry-After and the exchange's words`()
        async throws
    {
        try await ExchangeFixture.run {
            $0.limits?.weightMax = 4
            $0.limits?.windowSeconds = 3_600
            $0.limits?.violationsMax = 1
        } _: { fixture in
            var answers: [HTTPResponse] = []
            for _ in 0..<5 { answers.append(try await fixture.get(Self.query)) }
            #expect(answers.map(\.status) == [200, 200, 429, 429, 418])
            let used = answers.map { $0.headers["X-MBX-USED-WEIGHT-60M"] }
            #expect(used == ["2", "4", "4", "4", "4"])
            let limited = String(decoding: answers[2].body, as: UTF8.self)
            #expect(limited.contains("-1003"))
            #expect(limited.contains("current limit is 4 request weight per 60 MINUTE"))
            let seconds = try #require(answers[2].headers["Retry-After"].flatMap { Int($0) })
            #expect((1...3_600).contains(seconds))
            #expect(answers[4].headers["Retry-After"] == "120")
            #expect(String(decoding: answers[4].body, as: UTF8.self).contains("IP banned until "))
            let statistics = fixture.exchange.statistics
            #expect(statistics.requestsBeforeRetryAfter == 2)
            #expect(statistics.answers == ["200": 2, "429": 2, "418": 1])
            #expect(statistics.recordsServed == 2_000)
        }
    }

    @Test func `without limits no weight is counted and none is announced`() async throws {
        try await ExchangeFixture.run {
            $0.limits = nil
        } _: { fixture in
            let response = try await fixture.get(Self.query)
            #expect(response.headers["X-MBX-USED-WEIGHT-1M"] == nil)
            let info = try await fixture.get("/api/v3/exchangeInfo")
            #expect(String(decoding: info.body, as: UTF8.self).contains("\"rateLimits\":[]"))
        }
    }

    @Test func `a cut body ends the connection before the promised length`() async throws {
        try await ExchangeFixture.run {
            $0.faults.cutBodyShare = 1
        } _: { fixture in
            let error = await #expect(throws: HTTPError.self) { try await fixture.get(Self.query) }
            #expect(error?.code == .connectionBroken)
            #expect(fixture.exchange.statistics.answers == ["cut": 1])
            #expect(fixture.exchange.statistics.recordsServed == 0)
        }
    }

    @Test func `server errors come in their share and are the same for the same seed`() async throws {
        @Sendable func statuses(seed: UInt64) async throws -> [Int] {
            let (stream, continuation) = AsyncStream<Int>.makeStream()
            try await ExchangeFixture.run {
                $0.faults.serverErrorShare = 0.3
                $0.seed = seed
            } _: { fixture in
                for _ in 0..<100 { continuation.yield(try await fixture.get("/api/v3/ping").status) }
                continuation.finish()
            }
            return await stream.reduce(into: []) { $0.append($1) }
        }
        let first = try await statuses(seed: 7)
        #expect((15...45).contains(first.count { $0 >= 500 }))
        #expect(Set(first).isSubset(of: [200, 500, 502, 503, 504]))
        let repeated = try await statuses(seed: 7)
        #expect(repeated == first)
        let otherSeed = try await statuses(seed: 8)
        #expect(otherSeed != first)
    }

    @Test func `a storm answers 429 until its Retry-After is over`() async throws {
        try await ExchangeFixture.run { fixture in
            var faults = FaultSettings()
            faults.stormEverySeconds = 300
            faults.stormSeconds = 299.9
            fixture.exchange.setFaults(faults)
            var response = try await fixture.get("/api/v3/ping")
            let limit = ContinuousClock.now + .seconds(10)
            while response.status == 200, ContinuousClock.now < limit {
                response = try await fixture.get("/api/v3/ping")
            }
            #expect(response.status == 429)
            let seconds = try #require(response.headers["Retry-After"].flatMap { Int($0) })
            #expect((200...300).contains(seconds))
            #expect(fixture.exchange.statistics.requestsBeforeRetryAfter == 0)
            _ = try await fixture.get("/api/v3/ping")
            #expect(fixture.exchange.statistics.requestsBeforeRetryAfter == 1)
        }
    }

    @Test func `a hole hides the candles that open in it and no others`() async throws {
        let symbol = try #require(Symbol("BTCUSDT"))
        try await ExchangeFixture.run {
            $0.faults.holes = [.init(symbol: symbol, from: 1_722_470_700_000, to: 1_722_471_300_000)]
        } _: { fixture in
            let rows = try await fixture.klines("symbol=BTCUSDT&interval=5m&startTime=0&limit=3")
            let times = rows.compactMap { $0[0].number }
            #expect(times == [1_722_470_400_000, 1_722_471_300_000, 1_722_471_600_000])
            let hour = try await fixture.klines("symbol=BTCUSDT&interval=1h&startTime=0&limit=1")
            #expect(hour.first?[0] == .number(1_722_470_400_000))
        }
    }

    @Test func `latency and pace delay answers`() async throws {
        try await ExchangeFixture.run {
            $0.faults.latencyMilliseconds = 30
            $0.faults.paceRecordsPerSecond = 1_000
        } _: { fixture in
            let start = ContinuousClock.now
            for _ in 0..<3 {
                _ = try await fixture.get("/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=100")
            }
            #expect(ContinuousClock.now - start >= .milliseconds(300))
        }
    }

    @Test func `faults change at run time and a wrong one changes nothing`() async throws {
        try await ExchangeFixture.run { fixture in
            let ok = try await fixture.post("/_replay/faults", #"{"server_error_share": 1, "latency_ms": 5}"#)
            #expect(ok.status == 200)
            let status = try await fixture.get("/api/v3/ping").status
            #expect(status >= 500)
            for (body, name) in [
                (#"{"server_error_share": 2}"#, "server_error_share"), (#"{"speed": 1}"#, "speed"),
                (#"{"latency_ms": "slow"}"#, "latency_ms"), ("[", "JSON"),
                (#"{"storm_every_seconds": 1, "storm_seconds": 2}"#, "storm_seconds"),
                (#"{"holes": [{"symbol": "BTCUSDT", "from": 2, "to": 1}]}"#, "holes"),
            ] {
                let refused = try await fixture.post("/_replay/faults", body)
                #expect(refused.status == 400)
                #expect(String(decoding: refused.body, as: UTF8.self).contains(name), "\(body)")
            }
            #expect(fixture.exchange.faults.serverErrorShare == 1)
            #expect(fixture.exchange.faults.latencyMilliseconds == 5)
        }
    }

    @Test func `statistics can be read over HTTP and tell clients apart`() async throws {
        try await ExchangeFixture.run { fixture in
            _ = try await fixture.get("/api/v3/ping", headers: ["User-Agent": "loader/BTCUSDT"])
            _ = try await fixture.get("/api/v3/ping", headers: ["User-Agent": "loader/ETHUSDT"])
            let response = try await fixture.get("/_replay/stats")
            let statistics = try JSONDecoder().decode(
                ExchangeStatistics.self, from: Data(response.body))
            #expect(Set(statistics.clients.keys) == ["127.0.0.1 loader/BTCUSDT", "127.0.0.1 loader/ETHUSDT"])
            #expect(statistics == fixture.exchange.statistics)
        }
    }
}
