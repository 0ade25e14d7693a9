import GNNTraining
import GraphLearning
import ServiceRuntime
import TorchBridge

/// Trains and asks networks on a thread of its own: it takes long, and heartbeats must go on meanwhile.
actor TrainingThread {
    private let executor = QueueExecutor(label: "training")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let device: TorchDevice
    private let threads: Int

    init(_ device: TorchDevice, threads: Int) {
        self.device = device
        self.threads = threads
    }

    /// One call from beginning to end: libtorch keeps settings a thread, and a call stays on one.
    ///
    /// - Throws: ``TrainingError``.
    func train(
        _ series: SnapshotSeries, _ plan: TrainingPlan, _ graph: ModelDocument.GraphSource,
        checkpoints: DurableFolder, observe: @escaping @Sendable (ModelTrainer.Observation) -> Void,
        shouldStop: @escaping @Sendable () -> Bool
    ) throws -> ModelArtifacts {
        try Torch.setThreads(threads)
        return try ModelTrainer(
            series, plan, graph: graph, device: device, checkpoints: checkpoints, observe: observe,
            shouldStop: shouldStop
        ).run()
    }

    /// - Throws: ``TrainingError``.
    func predict(
        documentJSON: [UInt8], weights: [UInt8], _ snapshot: GraphSnapshot, _ columns: SnapshotColumns
    ) throws -> [GraphModel.Prediction] {
        try Torch.setThreads(threads)
        return try GraphModel(documentJSON: documentJSON, weights: weights, device: device)
            .predict(snapshot, columns)
    }
}
