import Foundation
import MarketData
import Testing

@testable import ReplayExchange

@Suite(.timeLimit(.minutes(3)))
struct RecordingTests {
    @Test func `a synthetic series is the same for the same seed and counts as synthetic`() async throws {
        let specification = try #require(SyntheticSpecification("BENCHUSDT:1m:2500"))
        #expect(specification.series(seed: 3).text == specification.series(seed: 3).text)
        #expect(specification.series(seed: 3).text != specification.series(seed: 4).text)
        try await ExchangeFixture.run {
            $0.synthetic = [specification]
        } _: { fixture in
            var start: Int64 = 0
            var count = 0
            while true {
                let rows = try await fixture.klines(
                    "symbol=BENCHUSDT&interval=1m&limit=1000&startTime=\(start)")
                guard let last = rows.last?[0].number else { break }
                #expect(rows.allSatisfy { $0.count == 12 })
                #expect(rows.allSatisfy { $0[7].kind == "decimal 8" && ($0[8].number ?? 0) > 0 })
                count += rows.count
                start = last + 1
            }
            #expect(count == 2_500)
            let page = String(decoding: try await fixture.get("/").body, as: UTF8.self)
            #expect(page.contains("BENCHUSDT SYNTHETIC: 1m 2500 candles"))
        }
    }

    @Test(arguments: ["", "BENCHUSDT:1m", "BENCHUSDT:7m:10", "bench:1m:10", "BENCHUSDT:1m:0", "A:1m:5000001"])
    func `a wrong synthetic specification is none`(text: String) {
        #expect(SyntheticSpecification(text) == nil)
    }

    @Test func `a damaged, a wrong and a missing recording are told by name`() async throws {
        let header = "open_time,open,high,low,close,volume\n"
        for (name, content, expected) in [
            ("BTCUSDT-5m.csv", header + "1722470400000,1,2,x,1,5\n", "line 2 is no candle of 5m"),
            ("BTCUSDT-5m.csv", header + "1722470400001,1,2,1,1,5\n", "line 2"),
            ("BTCUSDT-5m.csv", header + "1722470400000,1,2,1,1.123456789,5\n", "line 2"),
            ("BTCUSDT-5m.csv", "time,price\n", "line 1"),
            ("BTCUSDT.csv", header, "is not named like"),
            ("BTCUSDT-5m.csv.gz", "\u{1F}\u{8B}\u{8}\u{0}", "BTCUSDT-5m.csv.gz"),
        ] {
            let folder = FileManager.default.temporaryDirectory
                .appendingPathComponent("replay-\(UUID().uuidString)")
            let candles = folder.appendingPathComponent("candles")
            try FileManager.default.createDirectory(at: candles, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let bytes = content.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
            try Data(bytes).write(to: candles.appendingPathComponent(name))
            var options = ReplayOptions()
            options.dataDirectory = folder.path
            options.symbols = nil
            let error = await #expect(throws: ReplayError.self) { try await ReplayExchange.load(options) }
            #expect(error?.description.contains(expected) == true, "\(name): \(String(describing: error))")
        }
        var options = ReplayOptions()
        options.symbols = Set([Symbol("NOSUCHUSDT")].compactMap { $0 })
        let error = await #expect(throws: ReplayError.self) { try await ReplayExchange.load(options) }
        #expect(error?.detail == "has no recording of NOSUCHUSDT")
    }

    @Test func `a recording with all columns is served with all columns`() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("replay-\(UUID().uuidString)")
        let candles = folder.appendingPathComponent("candles")
        try FileManager.default.createDirectory(at: candles, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let text = """
            open_time,open,high,low,close,volume,close_time,quote_volume,trades,taker_buy_base,taker_buy_quote
            1722470400000,1,2,1,1.5,5,1722473999999,7.25,12,2,3.5
            1722474000000,1.5,3,1,2,6,1722477599999,9,13,1,1.25
            """
        try Data(text.utf8).write(to: candles.appendingPathComponent("BTCUSDT-1h.csv"))
        let path = folder.path
        try await ExchangeFixture.run {
            $0.dataDirectory = path
        } _: { fixture in
            let rows = try await fixture.klines("symbol=BTCUSDT&interval=2h")
            let expected: [JSONValue] = [
                .number(1_722_470_400_000), .text("1.00000000"), .text("3.00000000"), .text("1.00000000"),
                .text("2.00000000"), .text("11.00000000"), .number(1_722_477_599_999), .text("16.25000000"),
                .number(25), .text("3.00000000"), .text("4.75000000"), .text("0"),
            ]
            #expect(rows == [expected])
        }
    }
}
