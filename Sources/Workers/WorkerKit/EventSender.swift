import KafkaBridge
import ServiceRuntime
import Workflow

/// Puts events on `queue-events`, keyed by queue, and renews the lease with each one that is stored.
struct EventSender: Sendable {
    let identity: WorkerIdentity
    let producer: RenewingProducer
    let topic: String
    let lease: LeaseState
    let traceparent: Traceparent?

    /// An event on its way to the broker, behind those handed over before it.
    struct Handed: Sendable {
        let receipt: BatchReceipt
        let producer: KafkaProducer
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
        do throws(KafkaError) {
            _ = try await handed.receipt.value
        } catch {
            await producer.renew(handed.producer, after: error)
            throw error
        }
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
        let used = producer.current
        do throws(KafkaError) {
            return Handed(receipt: try await used.enqueue(batch, to: topic), producer: used, at: handed)
        } catch {
            await producer.renew(used, after: error)
            throw error
        }
    }
}
