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

    /// An event on its way to the broker, behind those handed over before it.
    struct Handed: Sendable {
        let receipt: BatchReceipt
        let at: ContinuousClock.Instant
    }

    /// - Returns: how long the broker took to store it.
    func send(_ event: QueueEvent) async throws(KafkaError) -> Duration {
        try await stored(try await handOver(event))
    }

    /// Returns when the broker has stored the event.
    ///
    /// - Returns: how long that took.
    func stored(_ handed: Handed) async throws(KafkaError) -> Duration {
        _ = try await handed.receipt.value
        lease.renew(sent: handed.at)
        return ContinuousClock.now - handed.at
    }

    func handOver(_ event: QueueEvent) async throws(KafkaError) -> Handed {
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
        var batch = RecordBatch()
        batch.append(key: Array(identity.queueID.rawValue.utf8), value: value, headers: headers)
        let handed = ContinuousClock.now
        return Handed(receipt: try await producer.enqueue(batch, to: topic), at: handed)
    }
}
