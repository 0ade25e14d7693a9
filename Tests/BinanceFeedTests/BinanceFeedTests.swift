import Foundation
import HTTPBridge
import MarketData
import ReplayExchange
import Synchronization
import Testing

@testable import BinanceFeed

/// What a read gave, collected by its handler.
struct Reading: Sendable, Equatable {
    var openTimes: [Int64] = []
    var holes: [RecordHole] = []
    var pageCount = 0

    mutating func add(_ page: KlinePage) {
        openTimes += (0..<page.rowCount).map { page.openTime(row: $0) }
        holes += page.holes
        pageCount += 1
    }
}

@Suite(.timeLimit(.minutes(3)))
struct BinanceFeedTests {
    static let start: Int64 = 1_722_470_400_000
    static let monthEnd: Int64 = 1_725_148_800_000
    static let step: Int64 = 300_000
    static let month = (0..<8_928).map { start + Int64($0) * step }

    @Test func `a month is read whole and in order`() async throws {
        try await FeedFixture.run { fixture in
            let reading = try await fixture.read()
            #expect(reading.openTimes == Self.month)
            #expect(reading.holes.isEmpty)
            #expect(reading.pageCount == 9)
            #expect(fixture.exchange.statistics.answers == ["200": 9])
        }
    }

    @Test func `decimals arrive exactly as the exchange sent them`() async throws {
        try await FeedFixture.run { fixture in
            let range = try fixture.range(from: 1_723_161_600_000, to: 1_723_161_900_000)
            let writer = CandleRecordWriter(symbol: range.symbol, interval: range.interval)
            var lines: [String] = []
            try await fixture.feed().klines(range) { page in
                page.forEachCandle { _, fields, bytes in
                    var line: [UInt8] = []
                    writer.write(fields, of: bytes, to: &line)
                    lines.append(String(decoding: line, as: UTF8.self))
                }
            }
            #expect(
                lines == [
                    #"{"_key":"BTCUSDT-5m-1723161600000","symbol":"BTCUSDT","interval":"5m","#
                        + #""open_time":1723161600000,"open":"61686.00000000","high":"61744.37000000","#
                        + #""low":"61556.04000000","close":"61607.99000000","volume":"221.61722000","#
                        + #""close_time":1723161899999,"quote_volume":"0.00000000","trades":0,"#
                        + #""taker_buy_base":"0.00000000","taker_buy_quote":"0.00000000"}"#
                ])
        }
    }

    @Test(arguments: [KlineInterval.minute15, .hour1, .day1, .day3, .week1, .month1])
    func `every interval is read by its own steps`(interval: KlineInterval) async throws {
        try await FeedFixture.run { fixture in
            let range = try fixture.range(interval: interval, from: Self.start, to: Self.monthEnd)
            let reading = try await fixture.read(range)
            var expected: [Int64] = []
            var open = range.firstOpenTime
            while open < range.closedEnd {
                expected.append(open)
                open = interval.openTime(after: open)
            }
            #expect(reading.openTimes == expected)
            #expect(reading.holes.isEmpty)
        }
    }

    @Test func `candles that were open at the fixed time are not read`() async throws {
        try await FeedFixture.run { fixture in
            let asOf = Self.start + 10 * Self.step + 1
            let reading = try await fixture.read(
                try fixture.range(from: Self.start, to: Self.monthEnd, asOf: asOf))
            #expect(reading.openTimes == Array(Self.month.prefix(10)))
        }
    }

    @Test func `an empty range asks nothing`() async throws {
        try await FeedFixture.run { fixture in
            let range = try fixture.range(from: Self.start + 1, to: Self.start + Self.step)
            let reading = try await fixture.read(range)
            #expect(reading == Reading())
            #expect(fixture.exchange.statistics.answers.isEmpty)
        }
    }

    @Test func `a hole is reported and not filled`() async throws {
        try await FeedFixture.run { fixture in
            let symbol = try #require(Symbol("BTCUSDT"))
            var faults = FaultSettings()
            let from = Self.month[990]
            let to = Self.month[1_010]
            faults.holes = [.init(symbol: symbol, from: from, to: to)]
            fixture.exchange.setFaults(faults)
            let reading = try await fixture.read()
            #expect(reading.openTimes == Array(Self.month[..<990] + Self.month[1_010...]))
            #expect(reading.holes == [RecordHole(from: from, to: to, recordCount: 20)])
        }
    }

    @Test func `the time before a listing and after the recording is a hole`() async throws {
        try await FeedFixture.run(symbol: "TONUSDT") { fixture in
            let range = try fixture.range(
                "TONUSDT", from: Self.start, to: Self.monthEnd + 3 * Self.step, asOf: Self.monthEnd * 2)
            let reading = try await fixture.read(range)
            #expect(reading.openTimes.count == 6_792)
            #expect(reading.openTimes.first == 1_723_111_200_000)
            #expect(
                reading.holes == [
                    RecordHole(from: Self.start, to: 1_723_111_200_000, recordCount: 2_136),
                    RecordHole(from: Self.monthEnd, to: Self.monthEnd + 3 * Self.step, recordCount: 3),
                ])
        }
    }

    @Test func `a range longer than the exchange takes is split`() async throws {
        try await FeedFixture.run {
            $0.rangeHoursMax = 24
        } _: { fixture in
            let to = Self.start + 3 * 86_400_000
            let reading = try await fixture.read(try fixture.range(from: Self.start, to: to))
            #expect(reading.openTimes == Array(Self.month.prefix(3 * 288)))
            #expect(reading.holes.isEmpty)
            // What was learned from the first refusals holds for the pages after.
            #expect(try #require(fixture.exchange.statistics.answers["400"]) <= 2)
        }
    }

    @Test func `one page is read ahead and no more`() async throws {
        try await FeedFixture.run { fixture in
            let counts = Mutex<[Int]>([])
            try await fixture.feed(pageRowsMax: 100).klines(
                try fixture.range(from: Self.start, to: Self.month[1_000])
            ) { _ in
                let before = ContinuousClock.now
                // Time enough for any further request that should not be there.
                while ContinuousClock.now - before < .milliseconds(30) { await Task.yield() }
                let answers = fixture.exchange.statistics.answers["200"] ?? 0
                counts.withLock { $0.append(answers) }
            }
            let ahead = counts.withLock { $0 }.enumerated().map { $0.element - $0.offset }
            #expect(ahead.count == 10)
            #expect(ahead.allSatisfy { $0 <= 2 })
            #expect(ahead.contains(2))
        }
    }

    @Test func `an error of the handler ends the read`() async throws {
        struct Stop: Error {}
        try await FeedFixture.run { fixture in
            await #expect(throws: Stop.self) {
                try await fixture.feed().klines(try fixture.range()) { _ in throw Stop() }
            }
        }
    }
}
