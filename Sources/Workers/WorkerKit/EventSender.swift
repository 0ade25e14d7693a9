import KafkaBridge
import ServiceRuntime
import Workflow

/// Puts events on `queue-events`, keyed by queue, and renews the lease with each one that is stored.
struct EventSender: Sendable {
    let identity: WorkerIdentity
    let producer: KafkaProducer
    let topic: String
    let lease: LeaseState
    let traceparent: Traceparent?

    /// - Returns: how long the broker took to store it.
    func send(_ event: QueueEvent) async throws(KafkaError) -> Duration {
        var event = event
        event.traceparent = traceparent?.description
        let value: [UInt8]
        do {
            value = try MessageCodec.encode(event)
        } catch {
            throw KafkaError(.other, operation: "encode an event", detail: "\(error)")
        }
        var headers: [RecordBatch.Header] = []
        if let traceparent {
            headers.append((name: RecordHeader.traceparent, value: Array(traceparent.description.utf8)))
        }
        let sent = ContinuousClock.now
        _ = try await producer.send(
            key: Array(identity.queueID.rawValue.utf8), value: value, headers: headers, to: topic)
        lease.renew(sent: sent)
        return ContinuousClock.now - sent
    }
}
