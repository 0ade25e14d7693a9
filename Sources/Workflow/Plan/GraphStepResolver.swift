import MarketData

/// Finds out where each graph step of a plan gets its records, once all steps are known.
struct GraphStepResolver {
    /// What a graph step says.
    struct Entry {
        var values: GraphStepParameters
        /// `params.interval`.
        var givenInterval: String?
    }

    let plan: Plan

    /// - Parameter entries: of the graph steps, by their place in the plan.
    /// - Returns: the plan with sources, interval and graph of each graph step.
    func resolve(_ entries: [Int: Entry]) throws(RequestError) -> Plan {
        var resolved = plan
        for (index, entry) in entries.sorted(by: { $0.key < $1.key }) {
            let step = plan.steps[index]
            try checkSymbols(index)
            let values = entry.values
            var sources = GraphSources(graph: "")
            sources.candleCollections = try checkCount(values.candleCollections, "collections", index)
            sources.tradeCollections = try checkCount(values.tradeCollections, "trade_collections", index)
            if values.candleCollections == nil {
                sources.candleStep = try storingStep(
                    of: step, index, named: values.candleStep, "candles"
                ) { $0.hasPrefix("api_candles") }.id
            }
            let trades = try tradeStep(of: step, index, values)
            sources.tradeStep = trades?.id
            sources.tradeType =
                trades?.type ?? values.tradeCollections.map { _ in values.tradeType ?? "api_trades" }
            let interval = try interval(given: entry.givenInterval, sources.candleStep, index)
            sources.graph = values.graph ?? "market_graph_\(interval.keyText)"
            resolved.steps[index].interval = interval.rawValue
            resolved.steps[index].graph = sources
        }
        return resolved
    }

    private func checkSymbols(_ index: Int) throws(RequestError) {
        guard plan.symbols.count < 2 else { return }
        throw RequestError(
            .invalidValue, "A graph needs at least two symbols", field: "symbols",
            value: plan.symbols.joined(separator: ","),
            hint: "Name more symbols, or leave steps[\(index)] out")
    }

    private func checkCount(
        _ collections: [String]?, _ name: String, _ index: Int
    ) throws(RequestError) -> [String]? {
        guard let collections, ![1, plan.symbols.count].contains(collections.count) else {
            return collections
        }
        throw RequestError(
            .invalidValue, "\(name) has \(collections.count) entries for \(plan.symbols.count) symbols",
            field: "steps[\(index)].params.\(name)", value: "a list of \(collections.count)",
            hint: "One for all symbols, or one a symbol in their order")
    }

    /// Trades are not needed: without a name only a single storing step among those it waits for counts.
    private func tradeStep(
        of step: PlannedStep, _ index: Int, _ values: GraphStepParameters
    ) throws(RequestError) -> PlannedStep? {
        func isTrades(_ type: String) -> Bool { TradeKind(type: type) != nil }
        guard values.tradeCollections == nil else { return nil }
        if values.tradeStep == nil, candidates(of: step, isTrades).isEmpty { return nil }
        return try storingStep(of: step, index, named: values.tradeStep, "trades", isTrades)
    }

    private func candidates(of step: PlannedStep, _ isRight: (String) -> Bool) -> [PlannedStep] {
        step.after.compactMap(plan.step).filter { $0.target.isConsumer && isRight($0.type) }
    }

    private func storingStep(
        of step: PlannedStep, _ index: Int, named name: StepID?, _ what: String,
        _ isRight: (String) -> Bool
    ) throws(RequestError) -> PlannedStep {
        let candidates = candidates(of: step, isRight)
        let place = "steps[\(index)].params.\(what)"
        let chosen = name.map { name in candidates.filter { $0.id == name } } ?? candidates
        guard let source = chosen.first, chosen.count == 1 else {
            let found = candidates.map(\.id.rawValue).joined(separator: ", ")
            throw RequestError(
                name == nil && candidates.isEmpty ? .missingField : .invalidValue,
                candidates.isEmpty
                    ? "No step that \(step.id) comes after stores \(what)"
                    : "\(what) must name one of the steps that store them", field: place,
                value: name?.rawValue,
                hint: candidates.isEmpty
                    ? "Name the storing step in after, or give collections that are there already"
                    : "One of \(found), which \(step.id) comes after")
        }
        guard source.fanOut.isBySymbol, source.fanOut.intervals.isEmpty else {
            throw RequestError(
                .invalidValue, "\(source.id) stores several intervals or symbols an instance", field: place,
                value: source.id.rawValue, hint: "Give the collections by name, and params.interval")
        }
        return source
    }

    private func interval(
        given text: String?, _ source: StepID?, _ index: Int
    ) throws(RequestError) -> KlineInterval {
        let field = "steps[\(index)].params.interval"
        let ofSource = source.flatMap(plan.step).flatMap { KlineInterval(rawValue: $0.interval) }
        let given = text.flatMap { KlineInterval(rawValue: $0) ?? KlineInterval(keyText: $0) }
        if let text, given == nil || (ofSource != nil && given != ofSource) {
            throw RequestError(
                .invalidValue, "params.interval is not that of the candles", field: field, value: text,
                hint: ofSource.map { "Leave it out or write \($0.keyText)" } ?? "For example 1h")
        }
        guard let interval = ofSource ?? given else {
            throw RequestError(
                .missingField, "params.interval is missing", field: field,
                hint: "The interval of the candles in the collections, e.g. 1h")
        }
        guard interval.milliseconds != nil else {
            throw RequestError(
                .invalidValue, "A graph needs candles of one length, and months differ", field: field,
                value: interval.keyText, hint: "Take an interval of at most a week")
        }
        return interval
    }
}
