/// Pairs of symbols with a weight each, from which edges are chosen.
struct EdgeCandidates {
    struct Pair {
        var from: Int
        var to: Int
        var weight: Double
        var lag: Int
        /// nil: there is no test.
        var pValue: Double?
    }

    let method: GraphParameters.Method
    let nodeCount: Int
    private(set) var pairs: [Pair] = []
    private let test: @Sendable (_ weight: Double, _ lag: Int) -> Double?

    init(_ correlations: CorrelationMatrix, method: GraphParameters.Method) {
        self.method = method
        nodeCount = correlations.weights.rows
        let test = CorrelationTest(degreesOfFreedom: correlations.degreesOfFreedom)
        self.test = { weight, _ in test?.pValue(weight) }
        pairs.reserveCapacity(nodeCount * max(nodeCount - 1, 0) / 2)
        for from in 0..<nodeCount {
            for to in from + 1..<max(nodeCount, from + 1) {
                pairs.append(Pair(from: from, to: to, weight: correlations.weights[from, to], lag: 0))
            }
        }
    }

    /// The p-value of the best of several lags is the least of them times their number (Bonferroni).
    init(_ matrix: LeadLagMatrix) {
        method = .leadLag
        nodeCount = matrix.weights.rows
        let tests = matrix.pairCounts.map { CorrelationTest(degreesOfFreedom: $0 - 2) }
        let tried = Double(matrix.pairCounts.count { $0 >= GraphParameters.rowsMin })
        test = { weight, lag in
            lag < 1 ? nil : tests[lag - 1].map { min(1, $0.pValue(weight) * tried) }
        }
        for from in 0..<nodeCount {
            for to in 0..<nodeCount where to != from {
                let lag = matrix.lags[from * nodeCount + to]
                // A lag of 0: nothing could be compared.
                if lag > 0 {
                    pairs.append(Pair(from: from, to: to, weight: matrix.weights[from, to], lag: lag))
                }
            }
        }
    }

    /// The edges that the rule keeps, in the order of the pairs.
    mutating func kept(by rule: GraphParameters.Rule) -> [GraphEdge] {
        let chosen: [Int]
        switch rule {
        case .threshold(let least):
            chosen = pairs.indices.filter { abs(pairs[$0].weight) >= least }
        case .topK(let count): chosen = strongest(count)
        case .significance(let alpha, let correction):
            for index in pairs.indices { pairs[index].pValue = test(pairs[index].weight, pairs[index].lag) }
            let limit = MultipleTests.threshold(
                pairs.compactMap(\.pValue), alpha: alpha, correction: correction)
            chosen = pairs.indices.filter { index in
                guard let limit, let pValue = pairs[index].pValue else { return false }
                return pValue <= limit
            }
        }
        return chosen.map { index in
            let pair = pairs[index]
            return GraphEdge(
                from: pair.from, to: pair.to, method: method, weight: pair.weight, lag: pair.lag,
                pValue: pair.pValue ?? test(pair.weight, pair.lag))
        }
    }

    /// Of each symbol its strongest pairs; of those that are equally strong the first. A directed pair belongs
    /// to the symbol that leads.
    private func strongest(_ count: Int) -> [Int] {
        var ofNode = [[Int]](repeating: [], count: nodeCount)
        for (index, pair) in pairs.enumerated() {
            ofNode[pair.from].append(index)
            if !method.isDirected { ofNode[pair.to].append(index) }
        }
        var chosen: Set<Int> = []
        for own in ofNode {
            let order = own.sorted { left, right in
                let (first, second) = (abs(pairs[left].weight), abs(pairs[right].weight))
                return first != second ? first > second : left < right
            }
            chosen.formUnion(order.prefix(count))
        }
        return chosen.sorted()
    }
}
