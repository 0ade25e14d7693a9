internal import Foundation
package import GraphLearning

/// All that a fit needs to go on as if it had never stopped. Random numbers need no state: they are functions of
/// the seed, the epoch and the step.
package struct FitCheckpoint: Sendable, Equatable {
    package struct Progress: Sendable, Equatable, Codable {
        /// Of plan and data: a checkpoint of another run must not be continued.
        package var identity: String
        package var epochsDone = 0
        package var stepsDone = 0
        package var history: [EpochRecord] = []
        package var stopping: EarlyStopping
        package var isOver = false
    }

    package var progress: Progress
    /// Each an array a parameter.
    package var weights: [[Float]]
    package var best: [[Float]]
    package var firstMoments: [[Float]]
    package var secondMoments: [[Float]]

    private static let groups = ["weights", "best", "first", "second"]
    private static let progressKey = "progress"

    package func encoded() throws(TrainingError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json: Data
        do {
            json = try encoder.encode(progress)
        } catch {
            throw TrainingError(.storage, "the progress cannot be written as JSON: \(error)")
        }
        let tensors = zip(Self.groups, [weights, best, firstMoments, secondMoments]).flatMap {
            group, arrays in
            arrays.enumerated().map { Safetensors.Tensor("\(group).\($0)", shape: [$1.count], $1) }
        }
        return Safetensors(tensors, metadata: [Self.progressKey: String(decoding: json, as: UTF8.self)])
            .encoded()
    }

    package init(
        progress: Progress, weights: [[Float]], best: [[Float]], firstMoments: [[Float]],
        secondMoments: [[Float]]
    ) {
        self.progress = progress
        self.weights = weights
        self.best = best
        self.firstMoments = firstMoments
        self.secondMoments = secondMoments
    }

    package init(decoding bytes: [UInt8]) throws(TrainingError) {
        let file: Safetensors
        do throws(Safetensors.FormatError) {
            file = try Safetensors(decoding: bytes)
        } catch {
            throw TrainingError(.storage, "a checkpoint is damaged: \(error)")
        }
        do {
            let json = Data((file.metadata[Self.progressKey] ?? "").utf8)
            progress = try JSONDecoder().decode(Progress.self, from: json)
        } catch {
            throw TrainingError(.storage, "a checkpoint's progress cannot be read: \(error)")
        }
        var arrays: [String: [[Float]]] = [:]
        for group in Self.groups {
            var index = 0
            var found: [[Float]] = []
            let named = Dictionary(
                file.tensors.map { ($0.name, $0.values) }, uniquingKeysWith: { first, _ in first })
            while let values = named["\(group).\(index)"] {
                found.append(values)
                index += 1
            }
            arrays[group] = found
        }
        weights = arrays["weights"] ?? []
        best = arrays["best"] ?? []
        firstMoments = arrays["first"] ?? []
        secondMoments = arrays["second"] ?? []
    }
}
