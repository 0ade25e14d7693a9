import Foundation
import MarketData
import ReplayExchange
import ServiceRuntime
import Testing

/// The Python with the packages of `Tests/requirements.txt`.
private let python = ProcessInfo.processInfo.environment["STREAMFORGE_TEST_PYTHON"]
private let isCI = ProcessInfo.processInfo.environment["CI"] == "true"

@Suite(.timeLimit(.minutes(3)))
struct RealClientTests {
    private struct Seen: Decodable {
        struct CCXT: Decodable {
            var markets: Int
            var time: Int64
            var candles: Int
            var inOrder: Bool
            var first: [Double]
            var trades: Int
            var firstTrade: [Double]
            var refusal: String?
        }
        struct PythonBinance: Decodable {
            var symbols: Int
            var candles: Int
            var inOrder: Bool
            var first: [JSONValue]
            var trades: Int
            var tradeIDs: [Int64]
            var aggregates: Int
            var refusal: [JSONValue]?
        }
        var ccxt: CCXT
        var pythonBinance: PythonBinance
    }

    @Test(.enabled(if: python != nil || isCI, "set STREAMFORGE_TEST_PYTHON: see Tests/requirements.txt"))
    func `ccxt and python-binance load candles and trades`() async throws {
        let python = try #require(python, "STREAMFORGE_TEST_PYTHON is not set, but CI is")
        let symbols = Set(["BTCUSDT", "1INCHUSDT", "SHIBUSDT"].compactMap { Symbol($0) })
        try await ExchangeFixture.run {
            $0.symbols = symbols
        } _: { fixture in
            let seen = try await Self.run(python, against: fixture.exchange.baseURL)
            #expect(seen.ccxt.markets == 3)
            #expect(seen.ccxt.time == fixture.exchange.now)
            #expect(seen.ccxt.candles >= 5 * 288)
            #expect(seen.ccxt.inOrder)
            #expect(
                seen.ccxt.first == [1_722_470_400_000, 64_628.01, 64_705.98, 64_601, 64_674.01, 134.16525])
            #expect(seen.ccxt.trades == 500)
            #expect(try #require(seen.ccxt.firstTrade.first) >= 1_723_161_600_000)
            #expect(seen.ccxt.refusal?.contains("Invalid symbol.") == true)
            let binance = seen.pythonBinance
            #expect(binance.symbols == 3)
            #expect(binance.candles == 5 * 288)
            #expect(binance.inOrder)
            #expect(binance.first[1] == .text("64628.01000000"))
            #expect(binance.trades == 1_000)
            #expect(binance.tradeIDs == [3_735_683_259, 3_735_684_258])
            #expect(binance.aggregates == 500)
            #expect(binance.refusal == [.number(-1121), .text("Invalid symbol.")])
        }
    }

    /// Runs the script and reads the one line it prints.
    private static func run(_ python: String, against baseURL: String) async throws -> Seen {
        let script = try #require(Bundle.module.url(forResource: "real_clients", withExtension: "py"))
        let log = FileManager.default.temporaryDirectory
            .appendingPathComponent("real-clients-\(UUID().uuidString).log")
        defer { try? FileManager.default.removeItem(at: log) }
        // Only what a Python program needs; the caller's environment may hold proxies and secrets.
        let process = try await ChildProcess.start(
            .init(
                python, [script.path, baseURL],
                environment: ["PATH": "/usr/bin:/bin", "HOME": NSTemporaryDirectory(), "LANG": "C.UTF-8"],
                logFile: log.path))
        let exit = await process.waitForExit(timeout: .seconds(150))
        if exit == nil { _ = await process.terminate(grace: .seconds(1)) }
        let output = String(decoding: (try? Data(contentsOf: log)) ?? Data(), as: UTF8.self)
        #expect(exit?.isSuccess == true, "\(output.suffix(4_000))")
        let line = try #require(output.split(separator: "\n").last { $0.hasPrefix("{") })
        return try JSONDecoder().decode(Seen.self, from: Data(line.utf8))
    }
}
