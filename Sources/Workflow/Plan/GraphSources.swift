import MarketData

/// Where the candles and trades of a graph step are, and where its graph goes.
///
/// Records come from the steps of the plan that store them, or from collections that are there already.
package struct GraphSources: Sendable, Hashable, Codable {
    /// The step that stores the candles; nil: ``candleCollections`` says where they are.
    package var candleStep: StepID?
    package var tradeStep: StepID?
    /// One for all symbols, or one a symbol in the order of the plan's.
    package var candleCollections: [String]?
    package var tradeCollections: [String]?
    /// `api_trades` or `api_trades_raw`; nil where there are no trades.
    package var tradeType: String?
    /// A ``GraphName``.
    package var graph: String

    package init(graph: String) {
        self.graph = graph
    }

    package enum CodingKeys: String, CodingKey {
        case graph
        case candleStep = "candle_step"
        case tradeStep = "trade_step"
        case candleCollections = "candle_collections"
        case tradeCollections = "trade_collections"
        case tradeType = "trade_type"
    }
}

extension Plan {
    /// The collections a graph step reads: one for all symbols, or one a symbol in the order of the plan's.
    package func candleCollections(of sources: GraphSources) -> [String] {
        sources.candleCollections ?? sources.candleStep.map(collections) ?? []
    }

    /// nil where it reads no trades.
    package func tradeCollections(of sources: GraphSources) -> [String]? {
        sources.tradeCollections ?? sources.tradeStep.map(collections)
    }

    /// Shards of time share a collection, so each symbol has one.
    private func collections(of id: StepID) -> [String] {
        guard let step = step(id) else { return [] }
        let names = instances(of: step).compactMap { instance in
            instance.collectionName(of: step, in: self).map { (instance.symbol, $0) }
        }
        let ofSymbol = Dictionary(names) { first, _ in first }
        let all = symbols.compactMap { ofSymbol[$0] }
        guard let first = all.first, all.allSatisfy({ $0 == first }) else { return all }
        return [first]
    }
}
