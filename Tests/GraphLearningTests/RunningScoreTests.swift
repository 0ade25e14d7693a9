import GraphLearning
import Testing

struct RunningScoreTests {
    private static func outputs(_ given: SnapshotPredictions) -> [Float] {
        given.probabilities.isEmpty
            ? given.predictedReturns.map { Float($0) } : given.probabilities.joined().map { Float($0) }
    }

    /// With one node more, whose outcome is not known.
    private static func batch(_ given: [SnapshotPredictions]) -> (GraphBatch, [Float]) {
        var batch = GraphBatch([])
        var outputs: [Float] = []
        for (part, predictions) in given.enumerated() {
            let isDirection = !predictions.probabilities.isEmpty
            batch.classes += isDirection ? predictions.classes.map { Int64($0) } + [-1] : []
            batch.outcomes += isDirection ? [] : predictions.returns.map { Float($0) } + [.nan]
            batch.parts += [Int64](repeating: Int64(part), count: predictions.returns.count + 1)
            outputs += Self.outputs(predictions) + (isDirection ? [9, 0, 0] : [9])
        }
        return (batch, outputs)
    }

    @Test(arguments: [LearningTask.Kind.direction, .logReturn])
    func `a score gathered batch by batch is that of all predictions together`(
        kind: LearningTask.Kind
    ) {
        var predictions = ReferenceTests.predictions(snapshots: 30, nodes: 9)
        if kind == .logReturn {
            for place in predictions.indices {
                predictions[place].predictedReturns = predictions[place].scores
                predictions[place].probabilities = []
                predictions[place].classes = []
            }
        }
        var score = RunningScore(kind)
        #expect(score.value == nil)
        for first in stride(from: 0, to: 30, by: 7) {
            let (batch, outputs) = Self.batch(Array(predictions[first..<min(first + 7, 30)]))
            score.add(batch, outputs: outputs)
        }
        let expected = Evaluation(predictions).values()[RunningScore.metric(of: kind)]
        #expect(abs((score.value ?? .nan) - (expected ?? .nan)) < 1e-9)
    }
}
