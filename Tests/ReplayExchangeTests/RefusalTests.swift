import Foundation
import ReplayExchange
import Testing

@Suite(.timeLimit(.minutes(3)))
struct RefusalTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var path: String
        var code: Int
        var message: String
        var testDescription: String { path }
    }

    static let cases = [
        Case(
            path: "klines?interval=5m", code: -1102,
            message: "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        Case(
            path: "klines?symbol=BTCUSDT", code: -1102,
            message: "Mandatory parameter 'interval' was not sent, was empty/null, or malformed."),
        Case(path: "klines?symbol=XYZUSDT&interval=5m", code: -1121, message: "Invalid symbol."),
        Case(path: "klines?symbol=BTCUSDT&interval=7m", code: -1120, message: "Invalid interval."),
        Case(path: "klines?symbol=BTCUSDT&interval=1D", code: -1120, message: "Invalid interval."),
        Case(
            path: "klines?symbol=btcusdt&interval=5m", code: -1100,
            message: #"Illegal characters found in parameter 'symbol'; legal range is "#
                + #"'^[\w\-._&&[^a-z]]{1,50}$'."#),
        Case(
            path: "klines?symbol=BTCUSDT&interval=5m&startTime=yesterday", code: -1100,
            message: "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'."),
        Case(
            path: "klines?symbol=BTCUSDT&interval=5m&limit=-1", code: -1100,
            message: "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'."),
        Case(
            path: "klines?symbol=BTCUSDT&interval=5m&limit=0", code: -1130,
            message: "Data sent for parameter 'limit' is not valid."),
        Case(
            path: "klines?symbol=BTCUSDT&interval=5m&startTime=", code: -1105,
            message: "Parameter 'startTime' was empty."),
        Case(
            path: "klines?symbol=BTCUSDT&interval=5m&interval=5m", code: -1101,
            message: "Duplicate values for a parameter detected."),
        Case(
            path: "klines?symbol=BTCUSDT&interval=5m&colour=red", code: -1104,
            message: "Not all sent parameters were read; read '2' parameter(s) but was sent '3'."),
        Case(
            path: "klines?symbol=BTCUSDT&interval=5m&timeZone=15:00", code: -1130,
            message: "Data sent for parameter 'timeZone' is not valid."),
        Case(
            path: "ping?x=1", code: -1101, message: "Too many parameters; expected '0' and received '1'."),
        Case(
            path: "aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", code: -1128,
            message: "Combination of optional parameters invalid."),
        Case(
            path: "exchangeInfo?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", code: -1128,
            message: "Combination of optional parameters invalid."),
        Case(
            path: "exchangeInfo?symbols=%5B%22BTCUSDT%22,%22XYZ%22%5D", code: -1121,
            message: "Invalid symbol."),
        Case(path: "exchangeInfo?symbolStatus=OPEN", code: -1122, message: "Invalid symbolStatus."),
    ]

    private struct Body: Decodable, Equatable {
        var code: Int
        var msg: String
    }

    @Test(arguments: cases)
    func `a bad request is refused with the exchange's code and words`(refusal: Case) async throws {
        try await ExchangeFixture.run { fixture in
            let response = try await fixture.get("/api/v3/" + refusal.path)
            #expect(response.status == 400)
            let body = try JSONDecoder().decode(Body.self, from: Data(response.body))
            #expect(body == Body(code: refusal.code, msg: refusal.message))
            #expect(response.headers["X-MBX-USED-WEIGHT-1M"] != nil)
        }
    }

    @Test func `every code used is one of the exchange's reference`() throws {
        struct Reference: Decodable {
            struct Entry: Decodable {
                var code: Int
            }
            var errors: [Entry]
        }
        let codes = Set(try recorded("error-codes.json", as: Reference.self).errors.map(\.code))
        #expect(Set(Self.cases.map(\.code)).isSubset(of: codes))
    }

    @Test func `a range longer than allowed is refused when that is switched on`() async throws {
        try await ExchangeFixture.run {
            $0.rangeHoursMax = 24
        } _: { fixture in
            let query = "/api/v3/klines?symbol=BTCUSDT&interval=5m&startTime=1722470400000&endTime="
            let allowed = try await fixture.get(query + "1722556799999").status
            #expect(allowed == 200)
            let response = try await fixture.get(query + "1722556800000")
            let body = try JSONDecoder().decode(Body.self, from: Data(response.body))
            #expect(body == Body(code: -1127, msg: "More than 24 hours between startTime and endTime."))
        }
    }
}
