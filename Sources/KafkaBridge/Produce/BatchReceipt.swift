internal import CRdkafka

/// The promise of a batch's acknowledgement. Await ``value`` once, many times or never.
package struct BatchReceipt: Sendable {
    let result: OneShot<Result<BatchAcknowledgement, KafkaError>>

    /// Waits until every record was acknowledged or one failed for good; bounded by the delivery time-out.
    package var value: BatchAcknowledgement {
        get async throws(KafkaError) { try await result.value.get() }
    }
}

/// Where the broker stored a batch.
package struct BatchAcknowledgement: Sendable, Equatable {
    package var count: Int
    /// nil when records of the batch went to several partitions by their keys; the offsets mean nothing then.
    package var partition: Int32?
    package var firstOffset: Int64
    package var lastOffset: Int64

    package init(count: Int, partition: Int32?, firstOffset: Int64, lastOffset: Int64) {
        self.count = count
        self.partition = partition
        self.firstOffset = firstOffset
        self.lastOffset = lastOffset
    }
}

/// Holds a batch's memory and its receipt while librdkafka works on the batch.
final class BatchInFlight: Sendable {
    let arena: RecordArena
    let topic: String
    let result = OneShot<Result<BatchAcknowledgement, KafkaError>>()
    private let core: ClientCore

    init(_ batch: RecordBatch, topic: String, core: ClientCore) {
        arena = batch.arena
        self.topic = topic
        self.core = core
    }

    /// Makes the C side's counter, which gives the reference back in its one call.
    func makeCounter() -> OpaquePointer? {
        crdk_batch_new(
            arena.records.count,
            { context, outcome in
                guard let context, let outcome else { return }
                CallbackContext.take(context, as: BatchInFlight.self).settle(outcome.pointee)
            }, CallbackContext.retain(self))
    }

    private func settle(_ outcome: crdk_outcome) {
        guard outcome.error != RD_KAFKA_RESP_ERR_NO_ERROR else {
            let acknowledgement = BatchAcknowledgement(
                count: outcome.count, partition: outcome.partition < 0 ? nil : outcome.partition,
                firstOffset: outcome.first_offset, lastOffset: outcome.last_offset)
            return result.resolve(.success(acknowledgement))
        }
        let words = String(cString: rd_kafka_err2str(outcome.error))
        let error = core.error(
            outcome.error, operation: "store \(outcome.count) records in \(topic)",
            detail: "\(outcome.failed) of them failed: \(words)")
        core.observe(.deliveryFailed(error, topic: topic, records: outcome.failed))
        result.resolve(.failure(error))
    }
}
