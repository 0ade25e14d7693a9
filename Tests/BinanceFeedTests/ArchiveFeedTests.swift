import Foundation
import HTTPBridge
import MarketData
import ReplayExchange
import Testing
import ZlibBridge

@testable import BinanceFeed

/// The same range through the REST API and through the exchange's files.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ArchiveFeedTests {
    private static let day: Int64 = 86_400_000

    @Test(arguments: [
        // Whole months; parts of days; one day; the month that has no candle.
        (BinanceFeedTests.start, BinanceFeedTests.monthEnd),
        (BinanceFeedTests.start + 7 * 3_600_000, BinanceFeedTests.start + 3 * day + 5 * 3_600_000),
        (BinanceFeedTests.start + day, BinanceFeedTests.start + 2 * day),
        (BinanceFeedTests.start - 31 * day, BinanceFeedTests.start + 2 * day),
    ])
    func `candles of the files are those of the API`(from: Int64, to: Int64) async throws {
        try await FeedFixture.run { fixture in
            let range = try fixture.range(from: from, to: to)
            let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
            #expect(try await fixture.candles(range, with: fixture.archiveFeed(.auto)) == wanted)
            #expect(fixture.exchange.statistics.answers["archive 200"] ?? 0 >= 2)
        }
    }

    @Test func `a whole month is one file, and its holes are holes`() async throws {
        try await FeedFixture.run(symbol: "TONUSDT") { fixture in
            let range = try fixture.range("TONUSDT")
            let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
            #expect(try await fixture.candles(range, with: fixture.archiveFeed(.archive)) == wanted)
            #expect(wanted.holes.map(\.recordCount) == [2_136])
            #expect(fixture.exchange.statistics.answers["archive 200"] == 2)
        }
    }

    @Test func `microseconds of 2025 are the milliseconds of the API`() async throws {
        var options = ReplayOptions()
        options.symbols = []
        options.synthetic = [SyntheticSpecification("MICROUSDT:1d:2200")].compactMap { $0 }
        try await ReplayExchange.withServer(options) { exchange in
            let fixture = FeedFixture(exchange: exchange, http: HTTPClient())
            // 2024-12-30 to 2025-01-02
            let range = try fixture.range(
                "MICROUSDT", interval: .day1, from: 1_735_516_800_000, to: 1_735_862_400_000,
                asOf: 1_735_862_400_000)
            let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
            #expect(wanted.rows.count == 4)
            #expect(try await fixture.candles(range, with: fixture.archiveFeed(.archive)) == wanted)
            let path = "/data/spot/daily/klines/MICROUSDT/1d/MICROUSDT-1d-2025-01-01.zip"
            let body = try await fixture.http.execute(HTTPRequest(.get, fixture.exchange.baseURL + path)).body
            let stream = try ZipStream(body)
            let line = String(decoding: try #require(try stream.next()), as: UTF8.self)
            #expect(line.hasPrefix("1735689600000000,") && line.contains(",1735775999999999,"))
        }
    }

    @Test(arguments: TradeKind.allCases, [FeedSource.archive, .auto])
    func `trades of the files are those of the API`(kind: TradeKind, source: FeedSource) async throws {
        try await FeedFixture.run { fixture in
            let range = try TradeFeedTests.range(kind, to: TradeFeedTests.midnight + Self.day)
            let wanted = try await fixture.trades(range)
            #expect(try await fixture.trades(range, with: fixture.archiveFeed(source)) == wanted)
            #expect(fixture.exchange.statistics.answers["archive 200"] == 4)
        }
    }

    @Test(arguments: TradeKind.allCases)
    func `a day that is not over is read from the API`(kind: TradeKind) async throws {
        let now = TradeFeedTests.midnight + 120_000
        try await FeedFixture.run {
            $0.now = now
        } _: { fixture in
            let range = try TradeFeedTests.range(kind, asOf: now)
            let wanted = try await fixture.trades(range)
            #expect(wanted.ids.count > 1_000)
            for source in [FeedSource.auto, .archive] {
                #expect(try await fixture.trades(range, with: fixture.archiveFeed(source)) == wanted)
            }
        }
    }

    @Test(arguments: TradeKind.allCases)
    func `a read that goes on behind any trade of a file gives the rest`(kind: TradeKind) async throws {
        try await FeedFixture.run { fixture in
            let range = try TradeFeedTests.range(kind)
            let whole = try await fixture.trades(range)
            for index in [0, 1, whole.ids.count / 3, whole.ids.count - 2, whole.ids.count - 1] {
                let last = whole.records[index]
                let rest = try await fixture.trades(
                    range, after: TradePosition(id: last.id, time: last.time),
                    with: fixture.archiveFeed(.archive))
                #expect(rest.records == Array(whole.records[(index + 1)...]))
            }
        }
    }

    @Test func `a file that is missing is an error or a reason to ask the API`() async throws {
        try await FeedFixture.run { fixture in
            // Nothing was traded two days before.
            let before = TradeFeedTests.midnight - 3 * Self.day
            let range = try TradeFeedTests.range(.raw, from: before, to: before + Self.day)
            let error = await #expect(throws: FeedError.self) {
                try await fixture.trades(range, with: fixture.archiveFeed(.archive))
            }
            #expect(error?.code == .unavailable)
            #expect(error?.operation.contains("BTCUSDT-trades-2024-08-06.zip") == true)
            #expect(try await fixture.trades(range, with: fixture.archiveFeed(.auto)) == TradeReading())
        }
    }

    @Test func `a checksum is the first word of its file`() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        func digests(_ text: String) -> String? { ArchiveFetcher.digest(inChecksum: Array(text.utf8)) }
        #expect(digests("\(digest)  BTCUSDT-5m-2024-08-01.zip\n") == digest)
        #expect(digests("\(digest.uppercased()) *a.zip") == digest)
        for text in ["", "\(digest)0  a.zip", "\(digest.dropLast())  a.zip", "<html>"] {
            #expect(digests(text) == nil)
        }
    }

    @Test func `a line of names is passed`() throws {
        let names =
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,buy_base,buy_quote,ignore\n"
        let line = "1722470400000,1.0,2.0,0.5,1.5,10,1722470699999,15,3,5,7.5,0\n"
        let table = try ArchiveScanner.candles(Array((names + line).utf8)).table
        #expect(table.openTimes == [1_722_470_400_000])
        #expect(table.closeTimes == [1_722_470_699_999])
    }

    @Test func `a trade's microseconds are the milliseconds of the API`() throws {
        let line = "7,94123.10,0.5,47061.55,1735689600123999,True,True\n"
        let (bytes, table) = try ArchiveScanner.trades(Array(line.utf8), .raw)
        #expect(table.times == [1_735_689_600_123])
        let fields = table.fields(row: 0)
        #expect(String(decoding: bytes[fields.time], as: UTF8.self) == "1735689600123")
        #expect(String(decoding: bytes[fields.isBuyerMaker], as: UTF8.self) == "true")
    }

    @Test(arguments: [
        "1,2", "1,1.0,1.0,1.0,x,True,True\n", "1,1.0,1.0,1.0,1723161600000,Yes,True\n",
        "1,1.,1,1,1,True,True\n",
        "-1,1,1,1,1723161600000,True,True\n", "01,1,1,1,1723161600000,True,True\n", "\n",
    ])
    func `lines that are no trades are refused`(lines: String) {
        #expect(throws: ScanFailure.self) { try ArchiveScanner.trades(Array(lines.utf8), .raw) }
    }
}

/// What was read of candles: their fields as texts.
struct CandleReading: Sendable, Equatable {
    var rows: [String] = []
    var holes: [RecordHole] = []
}

extension FeedFixture {
    /// A feed with small pages; its files are the replay exchange's unless another address is given.
    func archiveFeed(
        _ source: FeedSource, _ archiveURL: String? = nil,
        _ change: (inout BinanceFeed.Configuration) -> Void = { _ in }
    ) -> BinanceFeed {
        var configuration = BinanceFeed.Configuration()
        configuration.source = source
        configuration.archiveURL = archiveURL ?? exchange.baseURL
        configuration.pageRowsMax = 70
        configuration.retry.attemptMax = 50
        configuration.retry.backoffInitial = .milliseconds(2)
        configuration.retry.backoffMax = .milliseconds(20)
        change(&configuration)
        return BinanceFeed(
            baseURL: exchange.baseURL, http: http, budget: UnlimitedBudget(), configuration: configuration,
            observe: { [observations] in observations.add($0) })
    }

    /// A file as the replay exchange makes it.
    func zipped(_ file: ArchiveFile) async throws -> [UInt8] {
        let answer = try await http.execute(HTTPRequest(.get, exchange.baseURL + file.path))
        try #require(answer.status == 200, "\(file.path)")
        return answer.body
    }

    func candles(_ range: KlineRange, with feed: BinanceFeed) async throws -> CandleReading {
        var reading = CandleReading()
        try await feed.klines(range) { page in
            for hole in page.holes {
                // A hole that pages or files cut in two is one.
                if let last = reading.holes.last, last.to == hole.from {
                    reading.holes[reading.holes.count - 1] = RecordHole(
                        from: last.from, to: hole.to, recordCount: last.recordCount + hole.recordCount)
                } else {
                    reading.holes.append(hole)
                }
            }
            page.forEachCandle { _, fields, bytes in
                let ranges = [
                    fields.openTime, fields.open, fields.high, fields.low, fields.close, fields.volume,
                    fields.closeTime, fields.quoteVolume, fields.trades, fields.takerBuyBase,
                    fields.takerBuyQuote,
                ]
                reading.rows.append(
                    ranges.map { String(decoding: bytes[$0], as: UTF8.self) }.joined(separator: " "))
            }
        }
        return reading
    }
}
