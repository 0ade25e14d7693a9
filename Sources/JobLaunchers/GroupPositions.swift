import KafkaBridge
import Workflow

/// How far the pools have taken their offers; asked for once for all who want to know within a moment.
actor GroupPositions {
    private struct Known {
        var positions: [Int32: Int64]
        var since: ContinuousClock.Instant
    }

    private typealias Answer = Result<[Int32: Int64], LaunchError>

    private let admin: KafkaAdmin
    private let ageMax: Duration
    private var known: [String: Known] = [:]
    private var partitions: [String: Int] = [:]
    /// Those who wait for the request under way.
    private var waiting: [String: [CheckedContinuation<Answer, Never>]] = [:]

    private static let requestMax = Duration.seconds(2)

    init(admin: KafkaAdmin, ageMax: Duration) {
        self.admin = admin
        self.ageMax = ageMax
    }

    func close() async { await admin.close() }

    /// The offset of the next offer to be taken, by partition; a partition nobody took from is missing.
    func of(_ topic: String) async throws(LaunchError) -> [Int32: Int64] {
        if let known = known[topic], ContinuousClock.now - known.since < ageMax { return known.positions }
        if waiting[topic] != nil {
            return try await withCheckedContinuation { waiting[topic, default: []].append($0) }.get()
        }
        waiting[topic] = []
        let asked = ContinuousClock.now
        let answer = await ask(topic)
        if case .success(let positions) = answer { known[topic] = Known(positions: positions, since: asked) }
        for waiter in waiting.removeValue(forKey: topic) ?? [] { waiter.resume(returning: answer) }
        return try answer.get()
    }

    private func ask(_ topic: String) async -> Answer {
        do throws(KafkaError) {
            let count = try await partitionCount(of: topic)
            let asked = (0..<Int32(count)).map { TopicPartition(topic, $0) }
            let committed = try await admin.committedOffsets(
                of: DerivedName.poolGroup(topic: topic), asked, timeout: Self.requestMax)
            var positions: [Int32: Int64] = [:]
            for (partition, offset) in committed { positions[partition.partition] = offset }
            return .success(positions)
        } catch {
            return .failure(
                LaunchError(
                    operation: "read how far \(topic) is taken", detail: error.description, isRetriable: true)
            )
        }
    }

    private func partitionCount(of topic: String) async throws(KafkaError) -> Int {
        if let count = partitions[topic] { return count }
        guard let count = try await admin.partitionCounts(of: [topic], timeout: Self.requestMax)[topic] else {
            throw KafkaError(.unknownTopic, operation: "find \(topic)", detail: "there is no such topic")
        }
        partitions[topic] = count
        return count
    }
}
