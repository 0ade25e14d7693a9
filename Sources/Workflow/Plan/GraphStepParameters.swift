/// The `params` of a graph-builder step: where its records are, and the worker's settings the rest becomes.
struct GraphStepParameters {
    static let type = "graph_build"
    static let names = [
        "graph", "candles", "trades", "collections", "trade_collections", "trade_type", "interval", "methods",
        "threshold", "top_k", "significance", "correction", "window", "stride", "coverage_min", "lag_max",
        "return_horizons", "volatility", "rsi", "activity",
    ]
    private static let methods = ["pearson", "spearman", "partial", "lead_lag"]
    private static let corrections = ["benjamini_hochberg", "bonferroni", "none"]
    private static let rules = ["threshold", "top_k", "significance"]

    let candleStep: StepID?
    let tradeStep: StepID?
    let candleCollections: [String]?
    let tradeCollections: [String]?
    let tradeType: String?
    let graph: String?
    /// Environment variables of the worker by name.
    let settings: [String: String]

    init(_ parameters: ObjectReader) throws(RequestError) {
        candleStep = try Self.step("candles", parameters)
        tradeStep = try Self.step("trades", parameters)
        candleCollections = try Self.collections("collections", besides: "candles", parameters)
        tradeCollections = try Self.collections("trade_collections", besides: "trades", parameters)
        tradeType = try Self.word("trade_type", among: ["api_trades", "api_trades_raw"], parameters)
        if tradeType != nil, tradeCollections == nil {
            throw parameters.invalid(
                "trade_type", .string(tradeType ?? ""), hint: "It belongs to trade_collections")
        }
        graph = try parameters.string("graph")
        if let graph, GraphName(graph) == nil {
            throw parameters.invalid("graph", graph, "It is no name of a graph", hint: GraphName.rules)
        }
        settings = try Self.settings(parameters)
    }

    private static func settings(_ parameters: ObjectReader) throws(RequestError) -> [String: String] {
        var settings: [String: String] = [:]
        settings["GRAPH_METHODS"] = try words("methods", among: methods, parameters)
        let given = rules.filter(parameters.has)
        guard given.count <= 1 else {
            throw RequestError(
                .invalidValue, "\(given.joined(separator: " and ")) exclude each other",
                field: parameters.place(given[1]), hint: "Keep one of threshold, top_k, significance")
        }
        settings["GRAPH_CORRECTION"] = try word("correction", among: corrections, parameters)
        if settings["GRAPH_CORRECTION"] != nil, given != ["significance"] {
            throw RequestError(
                .invalidValue, "correction has no meaning here", field: parameters.place("correction"),
                hint: "It belongs to significance")
        }
        for (name, variable) in [
            ("threshold", "GRAPH_THRESHOLD"), ("significance", "GRAPH_SIGNIFICANCE"),
            ("coverage_min", "GRAPH_COVERAGE_MIN"),
        ] {
            settings[variable] = try parameters.number(name, in: 0...1).map { String($0) }
        }
        for (name, variable, range) in [
            ("top_k", "GRAPH_TOP_K", 1...1_000), ("window", "GRAPH_WINDOW", 2...50_000_000),
            ("stride", "GRAPH_STRIDE", 1...50_000_000), ("lag_max", "GRAPH_LAG_MAX", 1...1_000),
            ("volatility", "GRAPH_VOLATILITY", 2...100_000), ("rsi", "GRAPH_RSI", 1...100_000),
            ("activity", "GRAPH_ACTIVITY", 1...100_000),
        ] {
            settings[variable] = try parameters.integer(name, in: range).map(String.init)
        }
        settings["GRAPH_RETURN_HORIZONS"] = try horizons(parameters)
        return settings
    }

    private static func horizons(_ parameters: ObjectReader) throws(RequestError) -> String? {
        guard let value = parameters.value("return_horizons") else { return nil }
        let hint = "A list of 1 to 32 different whole numbers from 1 to 100000, e.g. [1,4,12,24]"
        guard case .array(let values) = value, (1...32).contains(values.count) else {
            throw parameters.invalid("return_horizons", value, hint: hint)
        }
        let numbers = values.compactMap(\.integer).filter { (1...100_000).contains($0) }
        guard numbers.count == values.count, Set(numbers).count == numbers.count else {
            throw parameters.invalid("return_horizons", value, hint: hint)
        }
        return numbers.map(String.init).joined(separator: ",")
    }

    private static func words(
        _ name: String, among known: [String], _ parameters: ObjectReader
    ) throws(RequestError) -> String? {
        guard let texts = try parameters.strings(name, countMax: known.count) else { return nil }
        let isEachOnce = Set(texts).count == texts.count && !texts.isEmpty
        guard isEachOnce, texts.allSatisfy(known.contains) else {
            throw parameters.invalid(
                name, texts.joined(separator: ","), "\(parameters.place(name)) is not valid",
                hint: "Some of \(known.joined(separator: ", ")), each once")
        }
        return texts.joined(separator: ",")
    }

    private static func word(
        _ name: String, among known: [String], _ parameters: ObjectReader
    ) throws(RequestError) -> String? {
        guard let text = try parameters.string(name) else { return nil }
        guard known.contains(text) else {
            throw parameters.invalid(
                name, text, "\(parameters.place(name)) is not valid",
                hint: "One of \(known.joined(separator: ", "))")
        }
        return text
    }

    private static func step(_ name: String, _ parameters: ObjectReader) throws(RequestError) -> StepID? {
        guard let text = try parameters.string(name) else { return nil }
        guard let id = StepID(text) else {
            throw parameters.invalid(
                name, text, "\(parameters.place(name)) is no step id", hint: "Name the step that stores them")
        }
        return id
    }

    private static func collections(
        _ name: String, besides step: String, _ parameters: ObjectReader
    ) throws(RequestError) -> [String]? {
        guard let texts = try parameters.strings(name, countMax: PlanBuilder.symbolsMax) else { return nil }
        guard !parameters.has(step) else {
            throw RequestError(
                .invalidValue, "\(step) and \(name) exclude each other", field: parameters.place(name),
                hint: "Name a step of this plan, or collections that are there already")
        }
        for (index, text) in texts.enumerated() where CollectionName(text) == nil {
            throw parameters.invalid(
                "\(name)[\(index)]", text, "It is no collection name",
                hint: "1 to \(CollectionName.bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter")
        }
        return texts
    }
}
