import GNNTraining
import Logging
import Metrics

/// Metrics and log lines of a training.
struct GNNMeters: Sendable {
    private let epochs: Counter
    private let loss: Gauge
    private let validationLoss: Gauge
    private let models: Counter

    init(_ metrics: any MetricsFactory) {
        epochs = Counter(label: "gnn_trainer_epochs_total", factory: metrics)
        loss = Gauge(label: "gnn_trainer_training_loss", factory: metrics)
        validationLoss = Gauge(label: "gnn_trainer_validation_loss", factory: metrics)
        models = Counter(label: "gnn_trainer_models_total", factory: metrics)
    }

    func callAsFunction(_ observation: GNNObservation, _ logger: Logger) {
        switch observation {
        case .training(let observation): tell(observation, logger)
        case .checkpointNotCopied(let detail):
            logger.warning("Could not copy a checkpoint", metadata: ["error": "\(detail)"])
        case .modelKnown(let place): logger.info("Found the model trained", metadata: ["place": "\(place)"])
        case .modelPublished(let place):
            models.increment()
            logger.info("Published the model", metadata: ["place": "\(place)"])
        }
    }

    private func tell(_ observation: ModelTrainer.Observation, _ logger: Logger) {
        switch observation {
        case .prepared(let parts, let samples):
            logger.info(
                "Prepared the snapshots",
                metadata: [
                    "training": "\(parts.training.count)", "validation": "\(parts.validation.count)",
                    "test": "\(parts.test.count)", "left_out": "\(parts.leftOut)", "samples": "\(samples)",
                ])
        case .resumed(let fit, let epochsDone):
            logger.info(
                "Went on from a checkpoint", metadata: ["fit": "\(fit)", "epochs_done": "\(epochsDone)"])
        case .checkpointUnusable(let fit, let detail):
            logger.warning(
                "Could not use a checkpoint", metadata: ["fit": "\(fit)", "error": "\(detail)"])
        case .epochEnded(_, let epoch):
            epochs.increment()
            loss.record(epoch.trainingLoss)
            validationLoss.record(epoch.validationLoss)
        case .fitEnded(let fit, let bestEpoch):
            logger.info("Fitted a network", metadata: ["fit": "\(fit)", "best_epoch": "\(bestEpoch)"])
        }
    }
}
