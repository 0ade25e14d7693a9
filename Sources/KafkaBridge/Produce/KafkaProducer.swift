internal import CRdkafka
import Dispatch
import ServiceRuntime

/// An idempotent producer: a batch is stored once, in its order, or its receipt says why not.
///
/// Calls that wait for librdkafka run on the producer's own thread. When librdkafka's queue is full a sender
/// waits; nothing is dropped. With a ``KafkaProducerConfiguration/transactionalID`` every send belongs to a
/// transaction.
package actor KafkaProducer {
    private let executor: QueueExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private var handle: ClientHandle?

    /// Starts the client; it connects by itself in the background.
    ///
    /// - Throws: `invalidSetting` (also for an unreadable CA file).
    package init(
        _ connection: KafkaConnection, _ configuration: KafkaProducerConfiguration = .init(),
        observe: @escaping KafkaObserver = { _ in }
    ) throws(KafkaError) {
        executor = QueueExecutor(label: "kafka-producer")
        let core = try ClientCore(
            RD_KAFKA_PRODUCER, settings: configuration.settings(connection), overrides: connection.overrides,
            label: "kafka-producer-events", observe: observe)
        handle = ClientHandle(core)
    }

    /// Sends a batch and waits until the broker has stored all of it.
    ///
    /// - Parameter partition: nil chooses by each record's key (murmur2, as Java's producer does).
    package func send(
        _ batch: RecordBatch, to topic: String, partition: Int32? = nil
    ) async throws(KafkaError) -> BatchAcknowledgement {
        try await enqueue(batch, to: topic, partition: partition).value
    }

    /// Sends one record and waits until the broker has stored it.
    package func send(
        key: [UInt8]?, value: [UInt8]?, headers: [RecordBatch.Header] = [], to topic: String,
        partition: Int32? = nil
    ) async throws(KafkaError) -> BatchAcknowledgement {
        var batch = RecordBatch()
        batch.append(key: key, value: value, headers: headers)
        return try await send(batch, to: topic, partition: partition)
    }

    /// Hands a batch to librdkafka, waiting while its queue is full; the receipt tells when it is stored.
    ///
    /// Batches of one caller keep their order. Nothing is sent twice or dropped when the caller is cancelled:
    /// the receipt then fails with `cancelled` for the records that were not handed over.
    package func enqueue(
        _ batch: RecordBatch, to topic: String, partition: Int32? = nil
    ) async throws(KafkaError) -> BatchReceipt {
        let core = try openCore(for: "send to \(topic)")
        let inFlight = BatchInFlight(batch, topic: topic, core: core)
        let count = inFlight.arena.records.count
        guard count > 0 else {
            throw KafkaError(.invalidState, operation: "send to \(topic)", detail: "the batch is empty")
        }
        let target = crdk_target(
            client: core.client, topic: try core.topicHandle(topic),
            partition: partition ?? RD_KAFKA_PARTITION_UA, record_bytes_max: core.recordBytesMax)
        guard let counter = inFlight.makeCounter() else { preconditionFailure("out of memory") }
        var taken = 0
        while taken < count {
            var reason = RD_KAFKA_RESP_ERR_NO_ERROR
            taken = inFlight.arena.records.withUnsafeBufferPointer { records in
                crdk_produce(
                    target, inFlight.arena.base, records.baseAddress, taken, count, counter, &reason)
            }
            guard taken < count else { break }
            if reason == RD_KAFKA_RESP_ERR__QUEUE_FULL { reason = await room(core) }
            if reason != RD_KAFKA_RESP_ERR_NO_ERROR {
                crdk_batch_fail(counter, count - taken, reason)
                break
            }
        }
        return BatchReceipt(result: inFlight.result)
    }

    /// Waits until some records were acknowledged.
    private func room(_ core: ClientCore) async -> rd_kafka_resp_err_t {
        // librdkafka settles every queued record by the delivery time-out, and each report ends this wait.
        let outcome = await core.activity.wait(until: .now() + .seconds(1))
        guard handle != nil else { return RD_KAFKA_RESP_ERR__DESTROY }
        return outcome == .cancelled ? RD_KAFKA_RESP_ERR__INTR : RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Waits until everything that was handed over is acknowledged or failed.
    ///
    /// - Throws: `timedOut` (retriable) when records are still under way after `timeout`.
    package func flush(timeout: Duration) throws(KafkaError) {
        let core = try openCore(for: "flush")
        let result = rd_kafka_flush(core.client, timeout.milliseconds)
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw core.error(result, operation: "flush") }
    }

    /// Sends what is queued, then ends the client. Receipts of records that could not be sent in time fail.
    ///
    /// An open transaction is not committed: the broker aborts it. Closing twice is allowed.
    ///
    /// - Throws: `timedOut` when records were withdrawn because they were not acknowledged after `timeout`.
    package func close(timeout: Duration = .seconds(10)) async throws(KafkaError) {
        guard let core = handle?.core else { return }
        let result = rd_kafka_flush(core.client, timeout.milliseconds)
        handle = nil
        core.activity.fire()
        await core.ended.wait(until: .now() + .seconds(10))
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(result, operation: "close the producer")
        }
    }

    func openCore(for operation: String) throws(KafkaError) -> ClientCore {
        guard let handle else {
            throw KafkaError(.closed, operation: operation, detail: "the producer was closed")
        }
        return handle.core
    }
}
