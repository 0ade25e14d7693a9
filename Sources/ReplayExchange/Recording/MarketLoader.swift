import Foundation
import MarketData

/// Loads a folder of recordings: `candles/<SYMBOL>-<interval>.csv.gz` and `trades/<SYMBOL>.csv.gz`.
enum MarketLoader {
    /// More files than this are surely the wrong folder.
    static let filesMax = 10_000
    /// Of `SOURCES.txt`, so much is shown.
    static let sourcesBytesMax = 8_192

    /// - Parameters:
    ///   - symbols: only these; nil for all that the folder has.
    ///   - synthetic: made-up series, added to the recorded ones.
    /// - Throws: ``ReplayError``: `unreadable`, `malformed`, or `invalidSetting` for a symbol the folder
    ///   lacks or one that is both recorded and synthetic.
    static func load(
        directory: String, symbols: Set<Symbol>?, synthetic: [SyntheticSpecification], seed: UInt64
    ) async throws -> Market {
        let files = try recordings(in: directory).filter { symbols?.contains($0.key) ?? true }
        for symbol in (symbols ?? []).sorted() where files[symbol] == nil {
            throw ReplayError(.invalidSetting, "load \(directory)", "has no recording of \(symbol)")
        }
        for specification in synthetic where files[specification.symbol] != nil {
            throw ReplayError(
                .invalidSetting, "make \(specification.symbol)", "is recorded: choose another name")
        }
        let markets = try await withThrowingTaskGroup(of: SymbolMarket.self) { group in
            for (symbol, files) in files {
                group.addTask { try market(symbol, files) }
            }
            for (symbol, series) in Dictionary(grouping: synthetic, by: \.symbol) {
                group.addTask { market(symbol, series, seed: seed) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let byName = markets.map { ($0.symbol.rawValue, $0) }
        return Market(
            symbols: Dictionary(byName, uniquingKeysWith: { first, _ in first }),
            sources: sources(in: directory))
    }

    struct Files: Sendable {
        var candles: [KlineInterval: String] = [:]
        var trades: String?
    }

    private static func recordings(in directory: String) throws(ReplayError) -> [Symbol: Files] {
        var result: [Symbol: Files] = [:]
        for name in try names(in: directory + "/candles") {
            let parts = stem(name).split(separator: "-", maxSplits: 1).map(String.init)
            guard parts.count == 2, let symbol = Symbol(parts[0]),
                let interval = KlineInterval(keyText: parts[1]) ?? KlineInterval(rawValue: parts[1])
            else {
                throw ReplayError(
                    .malformed, "load \(directory)/candles/\(name)",
                    "is not named like BTCUSDT-5m.csv.gz")
            }
            result[symbol, default: Files()].candles[interval] = "\(directory)/candles/\(name)"
        }
        for name in try names(in: directory + "/trades") {
            guard let symbol = Symbol(stem(name)) else {
                throw ReplayError(
                    .malformed, "load \(directory)/trades/\(name)", "is not named like BTCUSDT.csv.gz")
            }
            result[symbol, default: Files()].trades = "\(directory)/trades/\(name)"
        }
        return result
    }

    /// The names that end in `.csv` or `.csv.gz`; none when the folder is missing, because a folder may hold
    /// candles only or trades only.
    private static func names(in directory: String) throws(ReplayError) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        guard all.count <= filesMax else {
            throw ReplayError(.unreadable, "load \(directory)", "holds more than \(filesMax) files")
        }
        return all.filter { $0.hasSuffix(".csv.gz") || $0.hasSuffix(".csv") }.sorted()
    }

    /// The folder's own words on where its files are from; empty without any.
    private static func sources(in directory: String) -> String {
        guard let bytes = FileManager.default.contents(atPath: directory + "/SOURCES.txt") else { return "" }
        return String(decoding: bytes.prefix(sourcesBytesMax), as: UTF8.self)
    }

    private static func stem(_ name: String) -> String {
        name.hasSuffix(".gz") ? String(name.dropLast(7)) : String(name.dropLast(4))
    }

    private static func market(_ symbol: Symbol, _ files: Files) throws(ReplayError) -> SymbolMarket {
        var recordings: [CandleFile.Candles] = []
        for (interval, path) in files.candles {
            recordings.append(try CandleFile.read(path, interval: interval))
        }
        var tape: TradeTape?
        if let path = files.trades { tape = try TradeFile.read(path) }
        return SymbolMarket(symbol: symbol, origin: .recorded, recordings: recordings, tape: tape)
    }

    private static func market(
        _ symbol: Symbol, _ specifications: [SyntheticSpecification], seed: UInt64
    ) -> SymbolMarket {
        let recordings = specifications.map { specification in
            CandleFile.Candles(
                series: specification.series(seed: seed), hasAllColumns: true, pricePlaces: 2,
                quantityPlaces: 5)
        }
        return SymbolMarket(
            symbol: symbol, origin: .synthetic(seed: seed), recordings: recordings, tape: nil)
    }
}

/// Where the recordings that ship with the project are.
package enum SampleData {
    /// Looked for beside and above the running program: `data/sample` in a checkout,
    /// `share/streamforge/sample` in an installed place.
    static let places = ["data/sample", "share/streamforge/sample"]
    /// A built program lies at most this deep below its checkout.
    static let levelsMax = 8

    /// The folder, or nil when it is in none of these places: above the program, above the working folder.
    package static func directory() -> String? {
        let program = (Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments.first ?? "."))
            .resolvingSymlinksInPath().deletingLastPathComponent()
        let working = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
        for start in [program, working] {
            var folder = start
            for _ in 0..<levelsMax {
                for place in places {
                    let path = folder.appendingPathComponent(place).path
                    if FileManager.default.fileExists(atPath: path + "/candles") { return path }
                }
                folder.deleteLastPathComponent()
            }
        }
        return nil
    }
}
