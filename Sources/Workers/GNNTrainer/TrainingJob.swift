import GNNTraining
import GraphLearning
import TorchBridge
import Workflow

/// What one attempt of the trainer is to do.
package struct TrainingJob: Sendable {
    package var graph: GraphName
    /// nil: the one that knows the latest candles.
    package var version: GraphVersionID?
    package var model: ModelName
    package var options: TrainingOptions
    package var device = TorchDevice.cpu
    package var threads = 1
    /// Of this attempt alone; removed at its end.
    package var workFolder: String
    package var attempt: Int

    package init(
        graph: GraphName, version: GraphVersionID? = nil, model: ModelName, options: TrainingOptions,
        workFolder: String, attempt: Int
    ) {
        self.graph = graph
        self.version = version
        self.model = model
        self.options = options
        self.workFolder = workFolder
        self.attempt = attempt
    }
}

/// What is learned and how, with times in candles: how long one is, only the graph says.
package struct TrainingOptions: Sendable {
    package var task: LearningTask.Kind
    /// nil: from one snapshot to the next.
    package var horizonCandles: Int?
    package var embargoCandles: Int
    /// nil: a third of the training part's returns are flat.
    package var deadBand: Double?
    /// Sets what needs no time.
    package var configure: @Sendable (inout TrainingPlan) -> Void

    package init(
        task: LearningTask.Kind, horizonCandles: Int? = nil, embargoCandles: Int = 0, deadBand: Double? = nil,
        configure: @escaping @Sendable (inout TrainingPlan) -> Void = { _ in }
    ) {
        self.task = task
        self.horizonCandles = horizonCandles
        self.embargoCandles = embargoCandles
        self.deadBand = deadBand
        self.configure = configure
    }

    /// - Parameters:
    ///   - candle: the length of one, milliseconds.
    ///   - times: of the graph's snapshots, rising.
    /// - Throws: ``GNNTrainerError`` `noGraph` when no snapshot can lie at the horizon's end.
    func plan(candle: Int64, times: [Int64]) throws(GNNTrainerError) -> TrainingPlan {
        guard let stride = zip(times, times.dropFirst()).map({ $1 - $0 }).min() else {
            throw GNNTrainerError(
                .noGraph,
                "the graph has \(times.count) snapshots, and what comes after one must be known: build "
                    + "it with a window shorter than the range, and with a stride")
        }
        let horizon = horizonCandles.map { Int64($0) * candle } ?? stride
        guard horizon % stride == 0 else {
            throw GNNTrainerError(
                .noGraph,
                "GNN_HORIZON is \(horizon / candle) candles, but snapshots are \(stride / candle) candles apart: "
                    + "give a multiple of that, or build the graph with stride 1")
        }
        var task = LearningTask(task, horizon: horizon)
        if let deadBand { task.deadBand = .fixed(deadBand) }
        var plan = TrainingPlan(task: task)
        plan.split.embargo = Int64(embargoCandles) * candle
        configure(&plan)
        return plan
    }
}

/// What work of this module asks of the worker around it.
package struct GNNHooks: Sendable {
    package var shouldStop: @Sendable () -> Bool
    /// Returns when it may write; false: it is to stop.
    package var waitToWrite: @Sendable () async throws -> Bool
    package var report: @Sendable (InstanceCounts, _ message: String, _ extra: [String: JSONValue]) -> Void
    package var observe: @Sendable (GNNObservation) -> Void
    package var beforeWrite: @Sendable () -> Void
    /// All files are there, and nobody sees them yet.
    package var beforeShow: @Sendable () -> Void = {}
    package var afterWrite: @Sendable () -> Void
    /// Unix seconds.
    package var now: @Sendable () -> Double

    package init(
        shouldStop: @escaping @Sendable () -> Bool = { false },
        waitToWrite: @escaping @Sendable () async throws -> Bool = { true },
        report: @escaping @Sendable (InstanceCounts, String, [String: JSONValue]) -> Void = { _, _, _ in },
        observe: @escaping @Sendable (GNNObservation) -> Void = { _ in },
        beforeWrite: @escaping @Sendable () -> Void = {}, afterWrite: @escaping @Sendable () -> Void = {},
        now: @escaping @Sendable () -> Double
    ) {
        self.shouldStop = shouldStop
        self.waitToWrite = waitToWrite
        self.report = report
        self.observe = observe
        self.beforeWrite = beforeWrite
        self.afterWrite = afterWrite
        self.now = now
    }
}

/// What happens in training that operators may want to know.
package enum GNNObservation: Sendable, Equatable {
    case training(ModelTrainer.Observation)
    /// The training goes on; the next copy may succeed.
    case checkpointNotCopied(detail: String)
    /// The same training was done before.
    case modelKnown(ModelPlace)
    case modelPublished(ModelPlace)
}
