import Foundation
import HTTPBridge
import MarketData
import ReplayExchange
import Testing

@Suite(.timeLimit(.minutes(3)))
struct AnswerShapeTests {
    @Test func `klines have the elements of the recorded ones`() async throws {
        let recordedRows = try recorded("rest-klines-BTCUSDT-1m.json", as: [[JSONValue]].self)
        let expected = try #require(recordedRows.first).map(\.kind)
        try await ExchangeFixture.run { fixture in
            for path in ["klines", "uiKlines"] {
                let response = try await fixture.get("/api/v3/\(path)?symbol=BTCUSDT&interval=5m&limit=3")
                let rows = try JSONDecoder().decode([[JSONValue]].self, from: Data(response.body))
                #expect(rows.count == 3)
                #expect(rows.allSatisfy { $0.map(\.kind) == expected })
            }
        }
    }

    @Test(arguments: [
        ("aggTrades", "rest-aggTrades-BTCUSDT.json"), ("trades", "rest-trades-BTCUSDT.json"),
        ("historicalTrades", "rest-historicalTrades-BTCUSDT.json"),
    ])
    func `trades have the fields of the recorded ones`(path: String, file: String) async throws {
        let expected = try #require(try recorded(file, as: [[String: JSONValue]].self).first)
            .mapValues(\.kind)
        try await ExchangeFixture.run { fixture in
            let objects = try await fixture.objects("/api/v3/\(path)?symbol=BTCUSDT&limit=5")
            #expect(objects.count == 5)
            #expect(objects.allSatisfy { $0.mapValues(\.kind) == expected })
        }
    }

    @Test func `exchangeInfo has every field a recorded symbol has that no order needs`() async throws {
        struct Info: Decodable {
            var timezone: String
            var serverTime: Int64
            var rateLimits: [[String: JSONValue]]
            var symbols: [[String: JSONValue]]
        }
        let expected = try recorded("rest-exchangeInfo-small.json", as: Info.self)
        try await ExchangeFixture.run { fixture in
            let response = try await fixture.get("/api/v3/exchangeInfo?symbol=BTCUSDT")
            let info = try JSONDecoder().decode(Info.self, from: Data(response.body))
            let fields = Set(try #require(expected.symbols.first).keys)
            #expect(info.symbols.count == 1)
            #expect(fields.isSubset(of: try #require(info.symbols.first).keys))
            #expect(info.symbols.first?["baseAsset"] == .text("BTC"))
            #expect(info.symbols.first?["quoteAsset"] == .text("USDT"))
            #expect(info.serverTime == fixture.exchange.now)
            let weight = info.rateLimits.first { $0["rateLimitType"] == .text("REQUEST_WEIGHT") }
            #expect(weight?["limit"] == .number(6_000))
            #expect(weight?["interval"] == .text("MINUTE"))
        }
    }

    @Test func `the time is the end of the last recorded candle`() async throws {
        try await ExchangeFixture.run { fixture in
            let response = try await fixture.get("/api/v3/time")
            #expect(String(decoding: response.body, as: UTF8.self) == "{\"serverTime\":1725148800000}")
            let ping = try await fixture.get("/api/v3/ping").body
            #expect(ping == Array("{}".utf8))
        }
    }

    @Test func `microseconds are sent when the header asks for them`() async throws {
        let header: HTTPHeaders = ["X-MBX-TIME-UNIT": "MICROSECOND"]
        try await ExchangeFixture.run { fixture in
            let time = try await fixture.get("/api/v3/time", headers: header)
            #expect(String(decoding: time.body, as: UTF8.self) == "{\"serverTime\":1725148800000000}")
            let answer = try await fixture.get(
                "/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=2", headers: header)
            let rows = try JSONDecoder().decode([[JSONValue]].self, from: Data(answer.body))
            #expect(rows.map { $0[0] } == [.number(1_725_148_200_000_000), .number(1_725_148_500_000_000)])
            #expect(rows.map { $0[6] } == [.number(1_725_148_499_999_999), .number(1_725_148_799_999_999)])
            let wrong = try await fixture.get("/api/v3/time", headers: ["X-MBX-TIME-UNIT": "SECOND"])
            #expect(String(decoding: wrong.body, as: UTF8.self).contains("-1194"))
        }
    }

    @Test func `prices of a hundred-thousandth keep their eight places`() async throws {
        try await ExchangeFixture.run {
            $0.symbols = Set([Symbol("SHIBUSDT")].compactMap { $0 })
        } _: { fixture in
            let rows = try await fixture.klines("symbol=SHIBUSDT&interval=5m&startTime=1725148500000")
            #expect(rows.map { $0[1].text } == ["0.00001384"])
            #expect(rows.map { $0[5].text } == ["421133794.00000000"])
        }
    }

    @Test func `the page names symbols, missing columns and sources`() async throws {
        try await ExchangeFixture.run { fixture in
            let page = String(decoding: try await fixture.get("/").body, as: UTF8.self)
            #expect(page.contains("BTCUSDT recorded: 5m 8928 candles 2024-08-01 to 2024-08-31"))
            #expect(page.contains("zeros: quote volume, trades, taker volumes"))
            #expect(page.contains("MIT"))
            #expect(page.contains("Seed: 1."))
        }
    }

    @Test func `an unknown path is not found`() async throws {
        try await ExchangeFixture.run { fixture in
            for path in ["/api/v3/depth2", "/api/v4/klines", "/api/v3/klines/", "/_replay/other"] {
                let status = try await fixture.get(path).status
                #expect(status == 404)
            }
        }
    }
}
