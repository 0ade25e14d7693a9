import Workflow

extension Plan {
    /// The data topic of a producing step in one run of a queue.
    func dataTopic(of step: StepID, _ queueID: QueueID, run: Int) -> String {
        DerivedName.dataTopic(
            queueID, producingStep: step, producingStepCount: producingStepCount, run: run)
    }

    /// The data topics of a queue's runs, from the first to `runs`; none where they are shared.
    func dataTopics(_ queueID: QueueID, runs: Int) -> [String] {
        guard transport == .dedicated else { return [] }
        return (1...max(runs, 1)).flatMap { run in
            steps.filter(\.target.isProducer).map { dataTopic(of: $0.id, queueID, run: run) }
        }
    }

    /// All topics of a queue's runs: those for data, and those for dead letters.
    package func topics(_ queueID: QueueID, runs: Int) -> [String] {
        let data = dataTopics(queueID, runs: runs)
        return data + data.map { DerivedName.deadLetterTopic(dataTopic: $0) }
    }

    /// Whether a topic is the step's in any run a queue can have.
    func isDataTopic(_ topic: String, of step: StepID, _ queueID: QueueID) -> Bool {
        let first = dataTopic(of: step, queueID, run: 1)
        guard topic != first else { return true }
        guard topic.hasPrefix(first + "-r"), let run = Int(topic.dropFirst(first.count + 2)) else {
            return false
        }
        return (2...QueueState.runsMax).contains(run) && topic == dataTopic(of: step, queueID, run: run)
    }
}
