internal import Foundation

/// How a network is fitted.
package struct FitSettings: Sendable, Equatable, Codable {
    package var epochsMax = 100
    /// Snapshots a step.
    package var batchSnapshots = 16
    package var learningRate = 0.001
    package var schedule = LearningRateSchedule()
    package var weightDecay = 0.01
    /// AdamW; otherwise Adam.
    package var isDecayDecoupled = true
    /// The highest norm of all gradients together; 0: no limit.
    package var gradientNormMax = 1.0
    /// Epochs without improvement of the validation loss after which it ends.
    package var patience = 15
    /// By how much the validation loss must fall to count as improved.
    package var improvementMin = 1e-5
    package var seed: UInt64 = 1
    /// Epochs.
    package var checkpointEvery = 1

    package init() {}

    package var fault: String? {
        guard epochsMax >= 1, batchSnapshots >= 1, patience >= 1, checkpointEvery >= 1 else {
            return "epochs, snapshots a step, patience and epochs between checkpoints must be at least 1"
        }
        guard learningRate > 0, learningRate.isFinite, weightDecay >= 0, gradientNormMax >= 0 else {
            return "the learning rate must be above 0; weight decay and gradient norm may not be negative"
        }
        return schedule.fault
    }

    /// The snapshots of each step of an epoch, by their place in the training part. A pure function of seed and
    /// epoch, so that a run that goes on from a checkpoint needs nothing else to draw the same.
    ///
    /// - Parameter epoch: from 0.
    package func batches(of count: Int, epoch: Int) -> [[Int]] {
        var random = SeededRandom(SeededRandom.seed(seed, 2, UInt64(epoch)))
        let order = Array(0..<count).shuffled(using: &random)
        return stride(from: 0, to: count, by: batchSnapshots).map {
            Array(order[$0..<min($0 + batchSnapshots, count)])
        }
    }
}

/// The learning rate over the steps of a fit.
package struct LearningRateSchedule: Sendable, Equatable, Codable {
    package enum Shape: String, Sendable, Codable {
        case constant
        /// Down along half a cosine (Loshchilov, Hutter 2017).
        case cosine
    }

    package var shape = Shape.cosine
    /// The share of all steps in which the rate rises evenly from 0.
    package var warmupShare = 0.05
    /// What is left of the rate at the end of a cosine.
    package var finalShare = 0.05

    package init() {}

    package var fault: String? {
        (0...1).contains(warmupShare) && (0...1).contains(finalShare)
            ? nil : "warm-up \(warmupShare) and final share \(finalShare) must be 0...1"
    }

    /// - Parameter step: from 0.
    /// - Returns: what the rate is multiplied with, 0...1.
    package func share(step: Int, of steps: Int) -> Double {
        let warmup = Int(Double(steps) * warmupShare)
        if step < warmup { return Double(step + 1) / Double(warmup) }
        guard shape == .cosine, steps > warmup else { return 1 }
        let done = min(Double(step - warmup) / Double(steps - warmup), 1)
        return finalShare + (1 - finalShare) * (1 + cos(.pi * done)) / 2
    }
}

/// Ends a fit when the validation loss no longer falls.
package struct EarlyStopping: Sendable, Equatable, Codable {
    package enum Verdict: Sendable, Equatable {
        /// The weights of this epoch are the best so far.
        case best
        case goOn
        case stop
    }

    package let patience: Int
    package let improvementMin: Double
    package private(set) var bestLoss: Double?
    package private(set) var epochsWithout = 0

    package init(patience: Int, improvementMin: Double) {
        self.patience = patience
        self.improvementMin = improvementMin
    }

    /// - Parameter loss: a loss that is no number never counts as better.
    package mutating func judge(_ loss: Double) -> Verdict {
        if loss.isFinite, bestLoss.map({ loss < $0 - improvementMin }) ?? true {
            bestLoss = loss
            epochsWithout = 0
            return .best
        }
        epochsWithout += 1
        return epochsWithout >= patience ? .stop : .goOn
    }
}

/// What an epoch came to.
package struct EpochRecord: Sendable, Equatable, Codable {
    /// From 1.
    package var epoch: Int
    package var trainingLoss: Double
    package var validationLoss: Double
    /// Of the epoch's last step.
    package var learningRate: Double
    /// The highest norm of a step's gradients, before clipping.
    package var gradientNorm: Double
    package var isBest: Bool
    /// Of the validation part, see ``RunningScore``; nil where it is not defined.
    package var validationScore: Double?

    package init(
        epoch: Int, trainingLoss: Double, validationLoss: Double, learningRate: Double, gradientNorm: Double,
        isBest: Bool, validationScore: Double? = nil
    ) {
        self.epoch = epoch
        self.trainingLoss = trainingLoss
        self.validationLoss = validationLoss
        self.learningRate = learningRate
        self.gradientNorm = gradientNorm
        self.isBest = isBest
        self.validationScore = validationScore
    }
}
