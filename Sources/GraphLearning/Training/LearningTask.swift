/// What is to be learned.
package struct LearningTask: Sendable, Equatable {
    package enum Kind: String, Sendable, Codable {
        /// Down, flat or up.
        case direction
        /// The logarithmic return itself.
        case logReturn = "return"
    }

    package var kind: Kind
    /// Milliseconds.
    package var horizon: Int64
    /// Used for directions.
    package var deadBand = DeadBand.trainingQuantile(1.0 / 3)

    package init(_ kind: Kind, horizon: Int64) {
        self.kind = kind
        self.horizon = horizon
    }

    package var outputs: Int { kind == .direction ? Direction.allCases.count : 1 }
}

/// How much each class counts in the loss.
package enum ClassWeighting: Sendable, Equatable {
    case even
    /// n / (classes × n of the class), of the training part: rare classes count more.
    case balanced
    case given([Double])

    package func weights(counts: [Int]) -> [Double] {
        switch self {
        case .even: return counts.map { _ in 1 }
        case .given(let weights): return weights
        case .balanced:
            let total = Double(counts.reduce(0, +))
            return counts.map { $0 == 0 ? 0 : total / (Double(counts.count) * Double($0)) }
        }
    }
}
