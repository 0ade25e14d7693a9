internal import CRdkafka

/// One request of librdkafka's admin interface: options, the queue its answer comes to, and the answer.
struct AdminRequest: ~Copyable {
    let core: ClientCore
    let operation: String
    let options: OpaquePointer
    let queue: OpaquePointer
    private let timeout: Duration

    init(_ kind: rd_kafka_admin_op_t, _ core: ClientCore, operation: String, timeout: Duration) {
        guard let options = rd_kafka_AdminOptions_new(core.client, kind),
            let queue = rd_kafka_queue_new(core.client)
        else { preconditionFailure("out of memory") }
        self.core = core
        self.operation = operation
        self.options = options
        self.queue = queue
        self.timeout = timeout
        var reason = [CChar](repeating: 0, count: 128)
        // Bounded by librdkafka to an hour; a longer wait keeps its default of a minute.
        rd_kafka_AdminOptions_set_request_timeout(options, timeout.milliseconds, &reason, reason.count)
        if kind == RD_KAFKA_ADMIN_OP_CREATETOPICS || kind == RD_KAFKA_ADMIN_OP_DELETETOPICS {
            // Answer when the change is done on the controller, not when it was begun.
            rd_kafka_AdminOptions_set_operation_timeout(options, timeout.milliseconds, &reason, reason.count)
        }
    }

    deinit {
        rd_kafka_AdminOptions_destroy(options)
        rd_kafka_queue_destroy(queue)
    }

    /// Waits for the answer on this thread and gives it to `read` while it lives.
    borrowing func answer<Result>(
        _ read: (OpaquePointer) throws(KafkaError) -> Result
    ) throws(KafkaError) -> Result {
        // librdkafka answers within the request's time-out; the rest is for the way.
        guard let event = rd_kafka_queue_poll(queue, (timeout + .seconds(1)).milliseconds) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation)
        }
        defer { rd_kafka_event_destroy(event) }
        let result = rd_kafka_event_error(event)
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let words = rd_kafka_event_error_string(event).map { String(cString: $0) }
            throw core.error(result, operation: operation, detail: words)
        }
        return try read(event)
    }
}
