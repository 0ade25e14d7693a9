import GNNTraining
import GraphLearning
import ServiceRuntime
import TorchBridge
import Workflow

/// What the trainer reads from its environment besides what every worker reads.
enum GNNTrainerSettings {
    enum Task: String, Sendable, CaseIterable {
        case direction
        case logReturn = "return"
    }

    enum Weighting: String, Sendable, CaseIterable { case balanced, even }
    enum Norm: String, Sendable, CaseIterable { case none, layer, graph }

    static let model = WorkerSettings.modelName.required().typed(expects: ModelName.rules) { text in
        text.flatMap { ModelName($0) }
    }
    static let task = Setting<Task>.choice(
        "GNN_TASK", example: "return",
        doc: "What is learned: whether a price falls, stays or rises, or its return."
    ).fallback("direction")
    static let horizon = Setting<Int>.integer(
        "GNN_HORIZON", in: 1...1_000_000, example: "4",
        doc: "How far ahead, in candles; a whole number of the graph's strides. Not set: one stride."
    ).optional()
    static let embargo = Setting<Int>.integer(
        "GNN_EMBARGO", in: 0...1_000_000, example: "24",
        doc: "Candles left out, beyond the horizon, before the validation and the test part."
    ).fallback("0")
    static let deadBand = GNNModelSettings.number(
        "GNN_DEAD_BAND", in: 0...10, example: "0.002",
        doc: "Returns from minus this to this are flat. Not set: a third of the training part's are."
    ).optional()
    static let classWeights = Setting<Weighting>.choice(
        "GNN_CLASS_WEIGHTS", example: "even", doc: "Whether rare classes count more in the loss."
    ).fallback("balanced")
    static let epochs = Setting<Int>.integer(
        "EPOCHS", in: 1...100_000, example: "50", doc: "Epochs at most; early stopping may end it before."
    ).fallback("100")
    static let learningRate = GNNModelSettings.number(
        "LEARNING_RATE", in: 1e-9...10, example: "0.005", doc: "The highest learning rate."
    ).fallback("0.001")
    static let weightDecay = GNNModelSettings.number(
        "GNN_WEIGHT_DECAY", in: 0...10, example: "0.001", doc: "Weight decay of AdamW."
    ).fallback("0.01")
    static let batch = Setting<Int>.integer(
        "GNN_BATCH", in: 1...10_000, example: "32", doc: "Snapshots a step of the optimizer."
    ).fallback("16")
    static let patience = Setting<Int>.integer(
        "GNN_PATIENCE", in: 1...100_000, example: "10",
        doc: "Epochs without a lower validation loss after which the training ends."
    ).fallback("15")
    static let layers = Setting<Int>.integer(
        "GNN_LAYERS", in: 1...16, example: "3", doc: "Layers of attention."
    ).fallback("2")
    static let heads = Setting<Int>.integer(
        "GNN_HEADS", in: 1...64, example: "2", doc: "Heads of a layer."
    ).fallback("4")
    static let channels = Setting<Int>.integer(
        "GNN_CHANNELS", in: 1...1_024, example: "32", doc: "Channels of a head."
    ).fallback("16")
    static let dropout = GNNModelSettings.number(
        "GNN_DROPOUT", in: 0...0.95, example: "0.2", doc: "Share of a layer's inputs left out in training."
    ).fallback("0.1")
    static let attentionDropout = GNNModelSettings.number(
        "GNN_ATTENTION_DROPOUT", in: 0...0.95, example: "0.1",
        doc: "Share of the attention's coefficients left out in training."
    ).fallback("0")
    static let norm = Setting<Norm>.choice(
        "GNN_NORM", example: "graph", doc: "What evens out the values of a layer."
    ).fallback("layer")
    static let seed = Setting<UInt64>.integer(
        "GNN_SEED", in: 0...9_007_199_254_740_991, example: "7",
        doc: "Of all that is drawn by lot: first weights, order, dropout."
    ).fallback("1")
    static let checkpointEvery = Setting<Int>.integer(
        "GNN_CHECKPOINT_EVERY", in: 1...100_000, example: "5",
        doc: "Epochs from one checkpoint to the next: what a killed training does again at most."
    ).fallback("1")
    static let workFolder = Setting.path(
        "WORK_DIR", example: "/var/tmp/streamforge",
        doc: "A folder for what is in work; checkpoints are copied from there to the object store."
    ).fallback("/tmp/streamforge-work")

    static let groups =
        [
            SettingsGroup(
                "Training",
                [
                    model, task, horizon, embargo, deadBand, classWeights, epochs, learningRate, weightDecay,
                    batch, patience, layers, heads, channels, dropout, attentionDropout, norm, seed,
                    checkpointEvery, workFolder,
                ])
        ] + GNNModelSettings.groups

    static func options(_ values: SettingValues) -> TrainingOptions {
        TrainingOptions(
            task: values[task] == .direction ? .direction : .logReturn, horizonCandles: values[horizon],
            embargoCandles: values[embargo], deadBand: values[deadBand]
        ) { plan in
            plan.classWeighting = values[classWeights] == .balanced ? .balanced : .even
            plan.fit.epochsMax = values[epochs]
            plan.fit.learningRate = values[learningRate]
            plan.fit.weightDecay = values[weightDecay]
            plan.fit.batchSnapshots = values[batch]
            plan.fit.patience = values[patience]
            plan.fit.seed = values[seed]
            plan.fit.checkpointEvery = values[checkpointEvery]
            plan.layers = (0..<values[layers]).map { _ in
                NetworkSpecification.Layer(heads: values[heads], channels: values[channels])
            }
            plan.dropout = values[dropout]
            plan.attentionDropout = values[attentionDropout]
            plan.norm = NetworkSpecification.Norm(rawValue: values[norm].rawValue) ?? .layer
        }
    }
}

/// What whoever trains or asks a model reads.
enum GNNModelSettings {
    enum Device: String, Sendable, CaseIterable { case auto, cpu, cuda }

    static let graph = WorkerSettings.graphCollection.required().typed(expects: GraphName.rules) { text in
        text.flatMap { GraphName($0) }
    }
    static let graphVersion = Setting.text(
        "GRAPH_VERSION", example: "3f9a0b1c2d4e5f60",
        doc: "The version of the graph. Not set: the one that knows the latest candles."
    ).typed(expects: "16 hexadecimal digits") { GraphVersionID($0) }.optional()
    static let device = Setting<Device>.choice(
        "TORCH_DEVICE", example: "cpu", doc: "Where networks run: `auto` is CUDA where there is one."
    ).fallback("auto")
    static let threads = Setting<Int>.integer(
        "TORCH_THREADS", in: 1...1_024, example: "2",
        doc: "Threads for networks on the CPU. Results are the same to the bit only for the same number."
    ).fallback("1")

    static let groups = [
        SettingsGroup("Network", [graph, graphVersion, device, threads]),
        SettingsGroup("Document store", [DocumentStoreSettings.kind]), ArangoSettings.group,
        SettingsGroup("PostgreSQL", [PostgresSettings.optionalURL]), ObjectStoreSettings.group,
    ]

    /// - Throws: ``SettingsError`` when CUDA is asked for and there is none.
    static func device(_ values: SettingValues) throws(SettingsError) -> TorchDevice {
        switch values[device] {
        case .auto: return .best
        case .cpu: return .cpu
        case .cuda:
            guard let first = TorchDevice.cudaDevices.first else {
                throw SettingsError(problems: [
                    SettingProblem(device, reason: "is cuda, and libtorch finds no CUDA device here")
                ])
            }
            return first
        }
    }

    static func number(
        _ name: String, in bounds: ClosedRange<Double>, example: String, doc: String
    ) -> Setting<Double> {
        let expects = "a number from \(bounds.lowerBound) to \(bounds.upperBound)"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            guard let value = Double(text), bounds.contains(value) else { return nil }
            return value
        }
    }
}
