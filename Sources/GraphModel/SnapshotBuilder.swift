/// Makes the snapshots of a frame, one window at a time.
package struct SnapshotBuilder: Sendable {
    private let frame: CandleFrame
    private let returns: LogReturns
    private let parameters: GraphParameters
    /// The last candle of each snapshot, by its place in the frame, in the order of time.
    package let ends: [Int]

    package init(_ frame: CandleFrame, _ parameters: GraphParameters) {
        self.frame = frame
        self.parameters = parameters
        returns = LogReturns(frame)
        ends = parameters.windowEnds(candleCount: frame.grid.count)
    }

    /// The graph of the window that ends with the candle at `end`.
    package func snapshot(end: Int) -> GraphSnapshot {
        let length = parameters.window ?? frame.grid.count - 1
        let window = end - length + 1..<end + 1
        let aligned = AlignedReturns(returns, window: window, coverageMin: parameters.coverageMin)
        let features = NodeFeatures(frame, symbols: aligned.symbols, end: end, parameters.features)
        var edges: [GraphEdge] = []
        var methods: [MethodReport] = []
        for method in parameters.methods {
            let (found, report) = aligned.edges(method, parameters)
            edges += found
            methods.append(report)
        }
        let nodes = zip(aligned.symbols, features.rows).map { symbol, row in
            let close = frame[.close, symbol, end]
            return GraphNode(
                symbol: frame.symbols[symbol], features: row, close: close.isNaN ? nil : close)
        }
        return GraphSnapshot(
            asOf: frame.grid.closeTime(end), windowStart: frame.grid.time(window.lowerBound - 1),
            nodes: nodes,
            edges: edges,
            report: SnapshotReport(
                alignment: aligned.report, features: features.names, featuresLeftOut: features.leftOut,
                featuresMissing: features.missing, methods: methods))
    }
}

extension AlignedReturns {
    /// The relations of one kind that the rule keeps; ends are places among the kept symbols.
    package func edges(
        _ method: GraphParameters.Method, _ parameters: GraphParameters
    ) -> (edges: [GraphEdge], report: MethodReport) {
        var report = MethodReport(method: method, pairs: 0, edges: 0)
        guard rowCount >= 2, columnCount >= GraphParameters.rowsMin else {
            report.problem =
                rowCount < 2
                ? "fewer than two symbols have enough returns"
                : "only \(columnCount) times at which all symbols have a return, at least "
                    + "\(GraphParameters.rowsMin) are needed"
            return ([], report)
        }
        guard var candidates = candidates(method, parameters, &report) else {
            report.problem = "the correlation matrix cannot be inverted"
            return ([], report)
        }
        let edges = candidates.kept(by: parameters.rule)
        report.pairs = candidates.pairs.count
        report.edges = edges.count
        if case .significance = parameters.rule, candidates.pairs.allSatisfy({ $0.pValue == nil }) {
            report.problem = "there is no test: \(columnCount) returns of \(rowCount) symbols"
        }
        return (edges, report)
    }

    private func candidates(
        _ method: GraphParameters.Method, _ parameters: GraphParameters, _ report: inout MethodReport
    ) -> EdgeCandidates? {
        switch method {
        case .pearson: return EdgeCandidates(.pearson(self), method: method)
        case .spearman: return EdgeCandidates(.spearman(self), method: method)
        case .partial:
            guard let correlations = CorrelationMatrix.partial(self) else { return nil }
            report.shrinkage = correlations.shrinkage
            return EdgeCandidates(correlations, method: method)
        case .leadLag:
            return EdgeCandidates(LeadLagMatrix(self, times: times, lagMax: parameters.lagMax))
        }
    }
}
