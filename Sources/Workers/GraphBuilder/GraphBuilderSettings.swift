import GraphModel
import MarketData
import ServiceRuntime
import Workflow

/// What the graph-builder reads from its environment besides what every worker reads.
enum GraphBuilderSettings {
    static let interval = WorkerSettings.interval.required().typed(
        expects: "an interval of fixed length: " + Self.intervals
    ) { text in
        text.flatMap { KlineInterval(rawValue: $0) ?? KlineInterval(keyText: $0) }
            .flatMap { $0.milliseconds == nil ? nil : $0 }
    }
    static let range = WorkerSettings.timeRange.typed(
        expects: "YYYY-MM-DD:YYYY-MM-DD, both days included, UTC"
    ) { DayRange($0) }
    static let graph = WorkerSettings.graphCollection.required().typed(expects: GraphName.rules) { text in
        text.flatMap { GraphName($0) }
    }
    static let candleInputs = WorkerSettings.collectionInputs.required()
    static let tradeInputs = Setting<[String]>.list(
        "TRADE_COLLECTION_INPUTS", example: "btcusdt_api_trades_2024_08_01",
        doc: "Collections of trades, for candles without taker volumes: one for all, or one a symbol."
    ).optional()
    static let tradeType = Setting.text(
        "TRADE_TYPE", example: "api_trades", doc: "The kind of those trades: api_trades or api_trades_raw."
    ).fallback("api_trades").typed { TradeKind(type: $0) }

    static let methods = Setting<[String]>.list(
        "GRAPH_METHODS", example: "pearson,lead_lag", doc: "What edges measure."
    ).fallback("pearson").typed(
        expects: "some of " + GraphParameters.Method.allCases.map(\.rawValue).joined(separator: ", ")
    ) { (names: [String]) -> [GraphParameters.Method]? in
        let methods = names.compactMap { GraphParameters.Method(rawValue: $0) }
        return methods.count == names.count && Set(methods).count == methods.count ? methods : nil
    }
    static let threshold = number(
        "GRAPH_THRESHOLD", in: 0...1, example: "0.5",
        doc: "Keeps edges whose weight is at least so far from 0. The rule where no other is set: 0.5."
    ).optional()
    static let topK = Setting<Int>.integer(
        "GRAPH_TOP_K", in: 1...1_000, example: "5", doc: "Keeps the strongest so many edges of each symbol."
    ).optional()
    static let significance = number(
        "GRAPH_SIGNIFICANCE", in: 0...1, example: "0.05",
        doc: "Keeps edges that are significant at this level after `GRAPH_CORRECTION`."
    ).optional()
    static let correction = Setting<GraphParameters.Correction>.choice(
        "GRAPH_CORRECTION", example: "bonferroni", doc: "Against chance findings among many tests."
    ).fallback("benjamini_hochberg")
    static let window = Setting<Int>.integer(
        "GRAPH_WINDOW", in: 2...50_000_000, example: "720",
        doc: "Returns in a window. Not set: one window over the whole range."
    ).optional()
    static let stride = Setting<Int>.integer(
        "GRAPH_STRIDE", in: 1...50_000_000, example: "24",
        doc: "Candles from the end of one window to that of the next."
    ).fallback("1")
    static let coverageMin = number(
        "GRAPH_COVERAGE_MIN", in: 0...1, example: "0.9",
        doc: "A symbol with a smaller share of a window's returns is left out of it."
    ).fallback("0.95")
    static let lagMax = Setting<Int>.integer(
        "GRAPH_LAG_MAX", in: 1...1_000, example: "6",
        doc: "Lead and lag are looked for from 1 to so many candles."
    ).fallback("3")
    static let returnHorizons = Setting<[String]>.list(
        "GRAPH_RETURN_HORIZONS", example: "1,6", doc: "Returns over so many candles are features."
    ).fallback("1,4,12,24").typed(expects: "whole numbers from 1 to 100000, commas between") {
        (texts: [String]) -> [Int]? in
        let numbers = texts.compactMap { Int($0) }.filter { (1...100_000).contains($0) }
        return numbers.count == texts.count && Set(numbers).count == numbers.count ? numbers : nil
    }
    static let volatility = Setting<Int>.integer(
        "GRAPH_VOLATILITY", in: 2...100_000, example: "48", doc: "Returns that volatility looks back at."
    ).fallback("24")
    static let rsi = Setting<Int>.integer(
        "GRAPH_RSI", in: 1...100_000, example: "9", doc: "Changes that the relative strength index looks at."
    ).fallback("14")
    static let activity = Setting<Int>.integer(
        "GRAPH_ACTIVITY", in: 1...100_000, example: "48",
        doc: "Candles that volume ratio, taker imbalance and trades a minute look back at."
    ).fallback("24")
    static let memoryMax = Setting<Int>.integer(
        "GRAPH_MEMORY_MAX", in: 1...1_000_000, example: "8192",
        doc: "Memory that candles, returns and a window may take; a graph that needs more is refused."
    ).fallback("4096").unit("MiB")
    static let blasThreads = Setting<Int>.integer(
        "BLAS_THREADS", in: 1...1_024, example: "2",
        doc: "Threads for the matrix work. Not set: as many as there are processors."
    ).optional()

    static let groups = [
        SettingsGroup(
            "Candles", [interval, range, WorkerSettings.asOf, candleInputs, tradeInputs, tradeType]),
        SettingsGroup(
            "Graph",
            [
                graph, methods, threshold, topK, significance, correction, window, stride, coverageMin,
                lagMax,
                returnHorizons, volatility, rsi, activity, memoryMax, blasThreads,
            ]),
        SettingsGroup("Document store", [DocumentStoreSettings.kind]), ArangoSettings.group,
        SettingsGroup("PostgreSQL", [PostgresSettings.optionalURL]),
    ]

    /// - Throws: ``SettingsError`` for what no single setting shows.
    static func job(_ values: SettingValues) throws(SettingsError) -> GraphJob {
        guard let grid = GraphJob.grid(values[range], values[interval], asOf: values[WorkerSettings.asOf])
        else { preconditionFailure("the setting has a fixed length") }
        var problems: [SettingProblem] = []
        let symbols = symbols(values, &problems)
        let candles = collections(values, candleInputs, of: symbols.count, &problems)
        let trades = values[tradeInputs].map { _ in
            collections(values, tradeInputs, of: symbols.count, &problems)
        }
        let rule = rule(values, &problems)
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        let inputs = symbols.indices.map { index in
            GraphJob.Input(symbol: symbols[index], candles: candles[index], trades: trades?[index])
        }
        return GraphJob(
            graph: values[graph], inputs: inputs, interval: values[interval], grid: grid,
            parameters: parameters(values, rule), tradeKind: values[tradeType],
            memoryMax: values[memoryMax] << 20)
    }

    private static func parameters(_ values: SettingValues, _ rule: GraphParameters.Rule) -> GraphParameters {
        GraphParameters(
            methods: values[methods], rule: rule, window: values[window], stride: values[stride],
            coverageMin: values[coverageMin], lagMax: values[lagMax],
            features: FeatureParameters(
                returnHorizons: values[returnHorizons], volatility: values[volatility], rsi: values[rsi],
                activity: values[activity]))
    }

    private static func symbols(_ values: SettingValues, _ problems: inout [SettingProblem]) -> [Symbol] {
        let texts = values[WorkerSettings.symbols] ?? []
        let symbols = texts.compactMap { Symbol($0) }
        if symbols.count < 2 || symbols.count != texts.count || Set(symbols).count != symbols.count {
            problems.append(
                SettingProblem(WorkerSettings.symbols, reason: "must name at least two symbols, each once"))
        }
        return symbols
    }

    /// One collection for each symbol.
    private static func collections(
        _ values: SettingValues, _ setting: some AnySetting, of symbolCount: Int,
        _ problems: inout [SettingProblem]
    ) -> [CollectionName] {
        let texts = (setting.name == candleInputs.name ? values[candleInputs] : values[tradeInputs]) ?? []
        let names = texts.compactMap { CollectionName($0) }
        guard names.count == texts.count, names.count == 1 || names.count == symbolCount else {
            problems.append(
                SettingProblem(
                    setting,
                    reason: "names \(names.count) legal collections for \(symbolCount) symbols: give one for "
                        + "all, or one a symbol in the order of SYMBOLS"))
            return []
        }
        return names.count == symbolCount ? names : Array(repeating: names[0], count: symbolCount)
    }

    private static func rule(
        _ values: SettingValues, _ problems: inout [SettingProblem]
    ) -> GraphParameters.Rule {
        let given = [
            values[threshold].map { GraphParameters.Rule.threshold($0) },
            values[topK].map { .topK($0) },
            values[significance].map { .significance(alpha: $0, values[correction]) },
        ].compactMap { $0 }
        if given.count > 1 {
            problems.append(
                SettingProblem(
                    threshold, reason: "and GRAPH_TOP_K and GRAPH_SIGNIFICANCE exclude each other: set one"))
        }
        return given.first ?? GraphParameters().rule
    }

    private static let intervals = KlineInterval.allCases.filter { $0.milliseconds != nil }
        .map(\.rawValue).joined(separator: ", ")

    private static func number(
        _ name: String, in bounds: ClosedRange<Int>, example: String, doc: String
    ) -> Setting<Double> {
        let expects = "a number from \(bounds.lowerBound) to \(bounds.upperBound)"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            guard let value = Double(text), value >= Double(bounds.lowerBound),
                value <= Double(bounds.upperBound)
            else { return nil }
            return value
        }
    }
}
