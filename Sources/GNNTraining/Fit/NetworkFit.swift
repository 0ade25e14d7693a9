package import GraphLearning
package import TorchBridge

/// Fits one network, epoch by epoch. One thread uses it.
package final class NetworkFit {
    /// What is learned from.
    package struct Data {
        package var training: [PreparedSnapshot]
        package var validation: [PreparedSnapshot]
        /// One a class; not used for returns.
        package var classWeights: [Double]
        /// Says which data and plan this is, for checkpoints.
        package var identity: String

        package init(
            training: [PreparedSnapshot], validation: [PreparedSnapshot], classWeights: [Double],
            identity: String
        ) {
            self.training = training
            self.validation = validation
            self.classWeights = classWeights
            self.identity = identity
        }
    }

    package private(set) var progress: FitCheckpoint.Progress
    /// The weights with the lowest validation loss so far.
    package private(set) var best: [[Float]]

    private let network: GraphNetwork
    private let optimizer: AdamOptimizer
    private let loss: TrainingLoss
    private let kind: LearningTask.Kind
    private let data: Data
    private let settings: FitSettings
    private let device: TorchDevice

    /// - Parameter checkpoint: goes on from there.
    /// - Throws: ``TrainingError``: `storage` when the checkpoint is of another network or run.
    package init(
        _ specification: NetworkSpecification, _ kind: LearningTask.Kind, _ data: Data,
        _ settings: FitSettings,
        device: TorchDevice = .cpu, checkpoint: FitCheckpoint? = nil
    ) throws(TrainingError) {
        if let fault = specification.fault ?? settings.fault { throw TrainingError(.badPlan, fault) }
        if let checkpoint { try Self.check(checkpoint, specification, data) }
        let start = checkpoint?.weights ?? specification.start(seed: settings.seed)
        let parameters = try torch { () throws(TorchError) in
            try ParameterSet(specification, start, device: device)
        }
        var adam = AdamOptimizer.Settings()
        adam.weightDecay = settings.weightDecay
        adam.isDecoupled = settings.isDecayDecoupled
        network = GraphNetwork(parameters)
        best = checkpoint?.best ?? start
        progress =
            checkpoint?.progress
            ?? FitCheckpoint.Progress(
                identity: data.identity,
                stopping: EarlyStopping(patience: settings.patience, improvementMin: settings.improvementMin))
        self.data = data
        self.kind = kind
        self.settings = settings
        self.device = device
        let settingsOfAdam = adam
        (optimizer, loss) = try torch { () throws(TorchError) in
            let optimizer = try AdamOptimizer(parameters.tensors, settingsOfAdam)
            if let checkpoint {
                try Self.assign(checkpoint.firstMoments, to: optimizer.firstMoments)
                try Self.assign(checkpoint.secondMoments, to: optimizer.secondMoments)
                optimizer.stepCount = checkpoint.progress.stepsDone
            }
            return (optimizer, try TrainingLoss(kind, classWeights: data.classWeights, device: device))
        }
    }

    private static func check(
        _ checkpoint: FitCheckpoint, _ specification: NetworkSpecification, _ data: Data
    ) throws(TrainingError) {
        let sizes = specification.parameters.map(\.count)
        let arrays = [checkpoint.weights, checkpoint.best, checkpoint.firstMoments, checkpoint.secondMoments]
        guard arrays.allSatisfy({ $0.map(\.count) == sizes }) else {
            throw TrainingError(.storage, "the checkpoint is of another network")
        }
        guard checkpoint.progress.identity == data.identity else {
            throw TrainingError(
                .storage, "the checkpoint is of run \(checkpoint.progress.identity), not \(data.identity)")
        }
    }

    private static func assign(_ values: [[Float]], to tensors: [Tensor]) throws(TorchError) {
        for (tensor, values) in zip(tensors, values) {
            try tensor.assign(try Tensor(values, shape: tensor.shape, device: tensor.device))
        }
    }

    package var isOver: Bool { progress.isOver }

    /// - Throws: ``TrainingError``: `diverged` when a loss is no number.
    package func runEpoch() throws(TrainingError) -> EpochRecord {
        let epoch = progress.epochsDone
        let batches = settings.batches(of: data.training.count, epoch: epoch)
        var training = WeightedMean()
        var (rate, norm) = (0.0, 0.0)
        for (index, places) in batches.enumerated() {
            let batch = GraphBatch(places.map { data.training[$0] })
            let share = settings.schedule.share(
                step: epoch * batches.count + index, of: settings.epochsMax * batches.count)
            rate = settings.learningRate * share
            let step = try step(
                batch, rate: rate, seed: SeededRandom.seed(settings.seed, 3, UInt64(epoch), UInt64(index)))
            guard let step else { continue }
            guard step.loss.isFinite else {
                throw TrainingError(
                    .diverged, "the loss is \(step.loss) in epoch \(epoch + 1): try a lower learning rate")
            }
            training.add(step.loss, weight: step.weight)
            norm = max(norm, step.norm)
        }
        let (validation, score) = try lossAndScore(of: data.validation)
        guard let trainingLoss = training.value, let validationLoss = validation else {
            throw TrainingError(.badData, "no outcome is known in the training or in the validation part")
        }
        let verdict = progress.stopping.judge(validationLoss)
        if verdict == .best { best = try torch { () throws(TorchError) in try network.parameters.values() } }
        let record = EpochRecord(
            epoch: epoch + 1, trainingLoss: trainingLoss, validationLoss: validationLoss, learningRate: rate,
            gradientNorm: norm, isBest: verdict == .best, validationScore: score)
        progress.history.append(record)
        progress.epochsDone += 1
        progress.stepsDone = optimizer.stepCount
        progress.isOver = verdict == .stop || progress.epochsDone >= settings.epochsMax
        return record
    }

    package func checkpoint() throws(TrainingError) -> FitCheckpoint {
        try torch { () throws(TorchError) in
            FitCheckpoint(
                progress: progress, weights: try network.parameters.values(), best: best,
                firstMoments: try Self.values(optimizer.firstMoments),
                secondMoments: try Self.values(optimizer.secondMoments))
        }
    }

    private static func values(_ tensors: [Tensor]) throws(TorchError) -> [[Float]] {
        var values: [[Float]] = []
        for tensor in tensors { values.append(try tensor.values(Float.self)) }
        return values
    }

    /// - Returns: nil when no outcome of the batch is known.
    private func step(
        _ batch: GraphBatch, rate: Double, seed: UInt64
    ) throws(TrainingError) -> (loss: Double, weight: Double, norm: Double)? {
        guard batch.isLabelled else { return nil }
        return try torch { () throws(TorchError) in
            let tensors = try BatchTensors(batch, network.parameters.specification, device: device)
            let target = try loss.target(batch, device: device)
            guard target.weight > 0 else { return nil }
            let loss = try loss(try network(tensors, .training(seed: seed)), target)
            try optimizer.clearGradients()
            try loss.backward()
            let normMax = settings.gradientNormMax > 0 ? settings.gradientNormMax : .infinity
            let norm = try optimizer.clipGradients(normMax: normMax)
            try optimizer.step(rate: rate)
            return (Double(try loss.value(Float.self)), target.weight, norm)
        }
    }

    private func lossAndScore(
        of snapshots: [PreparedSnapshot]
    ) throws(TrainingError) -> (loss: Double?, score: Double?) {
        try torch { () throws(TorchError) in
            var mean = WeightedMean()
            var score = RunningScore(kind)
            for first in stride(from: 0, to: snapshots.count, by: settings.batchSnapshots) {
                let batch = GraphBatch(
                    snapshots[first..<min(first + settings.batchSnapshots, snapshots.count)])
                guard batch.isLabelled else { continue }
                try Torch.withoutGradients { () throws(TorchError) in
                    let tensors = try BatchTensors(batch, network.parameters.specification, device: device)
                    let target = try loss.target(batch, device: device)
                    guard target.weight > 0 else { return }
                    let outputs = try network(tensors, .inference)
                    mean.add(
                        Double(try loss(outputs, target).value(Float.self)), weight: target.weight)
                    score.add(batch, outputs: try outputs.values(Float.self))
                }
            }
            return (mean.value, score.value)
        }
    }
}

/// A mean of values that count differently.
struct WeightedMean {
    private var sum = 0.0
    private var weight = 0.0

    mutating func add(_ value: Double, weight: Double) {
        sum += value * weight
        self.weight += weight
    }

    var value: Double? { weight > 0 ? sum / weight : nil }
}
