package import GraphLearning

/// What `metrics.json` says.
package struct TrainingReport: Sendable, Equatable, Codable {
    package struct Model: Sendable, Equatable, Codable {
        package var name: String
        /// On the test part, which nothing was chosen by.
        package var metrics: [Metric: Measured]
        /// A row for each right class, a column for each predicted one; absent where returns are predicted.
        package var confusion: [[Double]]?
        /// Absent where returns are predicted.
        package var calibration: Calibration?
    }

    /// The graph network's measure less another model's.
    package struct Difference: Sendable, Equatable, Codable {
        package var from: String
        package var metrics: [Metric: Measured]
    }

    package enum GraphVerdict: String, Sendable, Codable {
        /// The whole interval of the difference from the network without edges is on the better side of 0.
        case helps
        case harms
        /// The interval has 0 in it.
        case notShown = "not_shown"
    }

    package var task: LearningTask.Kind
    package var models: [Model]
    package var differences: [Difference]
    /// By ``verdictMetric``, from the network without edges.
    package var graph: GraphVerdict
    package var verdictMetric: Metric
    /// One sentence for people.
    package var summary: String
    package var classes: [String]
    /// Of the training part.
    package var classCounts: [Int]
    package var classWeights: [Double]
    package var deadBand: Double
    package var testSnapshots: Int
    /// Nodes with a known outcome in the test part.
    package var testSamples: Int
    package var snapshotsLeftOut: Int
    package var bestEpoch: Int
    package var epochs: Int
    /// Columns that are the same everywhere in the training part.
    package var constantColumns: [String]
    /// By column with any, the share of the training part's values that are unknown.
    package var missingShares: [String: Double]
    package var bootstrap: BlockBootstrap
    /// Snapshots that are drawn together.
    package var blockLength: Int

    package static let graphNetwork = "gatv2"
    package static let withoutEdges = "gatv2_without_edges"
    package static let linear = "linear"
    package static let majority = "majority"

    /// - Parameter difference: the graph network's measure less that of the one without edges.
    package static func verdict(_ difference: Measured?) -> GraphVerdict {
        guard let interval = difference?.interval else { return .notShown }
        if interval.low > 0 { return .helps }
        return interval.high < 0 ? .harms : .notShown
    }

    package static func summary(_ verdict: GraphVerdict, _ metric: Metric, _ difference: Measured?) -> String
    {
        let name = metric.rawValue.replacing("_", with: " ")
        guard let difference, let interval = difference.interval else {
            return "Whether the graph helps cannot be said: \(name) is not defined on the test part."
        }
        let numbers =
            "\(text(difference.value)) [\(text(interval.low)), \(text(interval.high))] in \(name) against "
            + "the same network without edges, on the test part"
        switch verdict {
        case .helps: return "The graph helps: \(numbers)."
        case .harms: return "The graph harms: \(numbers)."
        case .notShown: return "It is not shown that the graph helps: \(numbers)."
        }
    }

    private static func text(_ value: Double) -> String {
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded > 0 ? "+\(rounded)" : "\(rounded)"
    }
}
