/// How a graph is made; docs/graph.md has the formulas.
package struct GraphParameters: Sendable, Hashable {
    /// What an edge measures.
    package enum Method: String, Sendable, Hashable, CaseIterable, Codable {
        case pearson, spearman, partial
        case leadLag = "lead_lag"

        /// Edges of lead and lag go from the symbol that leads to the one that follows.
        package var isDirected: Bool { self == .leadLag }
    }

    /// Which edges are kept, for each method by itself.
    package enum Rule: Sendable, Hashable {
        /// Those whose weight is at least so far from zero, from 0 to 1.
        case threshold(Double)
        /// The strongest so many of each symbol; an undirected one when either side chose it.
        case topK(Int)
        /// Those whose p-value passes at the level `alpha` after the correction.
        case significance(alpha: Double, Correction)
    }

    /// Against chance findings among many tests.
    package enum Correction: String, Sendable, Hashable, CaseIterable {
        case benjaminiHochberg = "benjamini_hochberg"
        case bonferroni
        case none
    }

    package var methods: [Method]
    package var rule: Rule
    /// Returns in a window; nil: one window over the whole range.
    package var window: Int?
    /// Candles from one window's end to the next, counted back from the last candle.
    package var stride: Int
    /// A symbol with a smaller share of a window's returns is left out of it, from 0 to 1.
    package var coverageMin: Double
    /// Lead and lag are looked for from 1 to so many candles.
    package var lagMax: Int
    package var features: FeatureParameters

    package init(
        methods: [Method] = [.pearson], rule: Rule = .threshold(0.5), window: Int? = nil, stride: Int = 1,
        coverageMin: Double = 0.95, lagMax: Int = 3, features: FeatureParameters = FeatureParameters()
    ) {
        self.methods = methods
        self.rule = rule
        self.window = window
        self.stride = stride
        self.coverageMin = coverageMin
        self.lagMax = lagMax
        self.features = features
    }

    /// Fewer common returns than this give no graph: a correlation of less is chance.
    package static let rowsMin = 8

    /// The last candle of each window, in the order of time.
    package func windowEnds(candleCount: Int) -> [Int] {
        let last = candleCount - 1
        let length = window ?? last
        guard length >= 1, last >= length else { return [] }
        return Array(Swift.stride(from: last, through: length, by: -max(stride, 1)).reversed())
    }
}

/// How far back the features of a symbol look, in candles.
package struct FeatureParameters: Sendable, Hashable {
    package var returnHorizons: [Int]
    package var volatility: Int
    package var rsi: Int
    /// Volume ratio, taker imbalance and trade intensity.
    package var activity: Int

    package init(
        returnHorizons: [Int] = [1, 4, 12, 24], volatility: Int = 24, rsi: Int = 14, activity: Int = 24
    ) {
        self.returnHorizons = returnHorizons
        self.volatility = volatility
        self.rsi = rsi
        self.activity = activity
    }
}
