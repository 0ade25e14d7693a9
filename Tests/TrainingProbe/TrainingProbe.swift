internal import Foundation
internal import GNNTraining
internal import GraphLearning
internal import TorchBridge

/// Trains on a market that it makes up, for tests that end a trainer's process.
///
/// usage: training-probe FOLDER EPOCHS EPOCHS_TO_DEATH; prints what it observes; artifacts are in FOLDER/model at the
/// end. After so many epochs of its own it ends itself by SIGKILL, as if somebody had done so at that very moment.
@main
struct TrainingProbe {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let epochs = Int(arguments[2]), var left = Int(arguments[3]) else {
            FileHandle.standardError.write(Data("usage: training-probe FOLDER EPOCHS EPOCHS_TO_DEATH\n".utf8))
            exit(2)
        }
        try Torch.setThreads(1)
        var plan = TrainingPlan(task: LearningTask(.direction, horizon: 3_600_000))
        plan.fit.epochsMax = epochs
        plan.fit.patience = epochs
        plan.fit.checkpointEvery = 2
        plan.attentionDropout = 0.1
        plan.layers = [NetworkSpecification.Layer(heads: 2, channels: 8)]
        plan.bootstrap.resamples = 50
        let folder = arguments[1]
        let trainer = ModelTrainer(
            try SyntheticMarket().series(), plan, checkpoints: try DurableFolder(folder + "/checkpoints")
        ) { observation in
            FileHandle.standardOutput.write(Data("\(observation)\n".utf8))
            if case .epochEnded = observation {
                left -= 1
                if left == 0 { kill(getpid(), SIGKILL) }
            }
        }
        try trainer.run().write(to: folder + "/model")
    }
}
