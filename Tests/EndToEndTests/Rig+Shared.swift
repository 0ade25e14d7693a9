import Foundation
import HTTPBridge
import KafkaBridge
import ServiceRuntime
import Testing
import Workflow

extension Rig {
    var kafka: KafkaConnection { KafkaConnection(environment["KAFKA_BOOTSTRAP_SERVERS"] ?? "") }

    func waitUntilReady(_ base: String, _ child: ChildProcess) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            let request = HTTPRequest(
                .get, "\(base)/health/ready", timeouts: HTTPTimeouts(connect: .seconds(1), whole: .seconds(2))
            )
            // No answer yet is what is waited for.
            if let answer = try? await http.execute(request), answer.status == 200 { return }
            try #require(child.exit == nil, "the program ended at its start")
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TimeLimitError(last: nil)
    }

    /// Waits until the connectors have committed the ends of all partitions.
    func expectNoLag(_ topic: String) async throws {
        let admin = try KafkaAdmin(kafka)
        let deadline = ContinuousClock.now + .seconds(20)
        var lag: [TopicPartition: Int64] = [:]
        repeat {
            lag = try await admin.lag(of: DerivedName.connectorGroup, topic: topic).filter { $0.value != 0 }
            if lag.isEmpty { break }
            try await Task.sleep(for: .milliseconds(100))
        } while ContinuousClock.now < deadline
        #expect(lag.isEmpty)
        await admin.close()
    }
}
