internal import CRdkafka

/// What one poll gave: records in the order of each partition, and what else happened.
///
/// The records lie in librdkafka's memory, which is kept until this object and every ``ConsumedRecord`` of it
/// are gone: do not hold them longer than their batch is worked on. They also keep a closed consumer's
/// client.
///
/// `@unchecked Sendable`: the messages are never changed.
package final class ConsumedRecords: @unchecked Sendable {
    private let messages: [UnsafeMutablePointer<rd_kafka_message_t>?]
    private let handle: ClientHandle?
    package let events: [ConsumerEvent]

    init(
        _ messages: [UnsafeMutablePointer<rd_kafka_message_t>?], events: [ConsumerEvent], handle: ClientHandle
    ) {
        self.messages = messages
        self.events = events
        self.handle = messages.isEmpty ? nil : handle
    }

    deinit {
        var messages = messages
        crdk_messages_destroy(&messages, messages.count)
    }

    /// The message at an index; C fills the list without gaps.
    func message(at index: Int) -> UnsafeMutablePointer<rd_kafka_message_t> {
        guard let message = messages[index] else { preconditionFailure("no record at \(index)") }
        return message
    }
}

extension ConsumedRecords: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { messages.count }
    package subscript(position: Int) -> ConsumedRecord {
        ConsumedRecord(records: self, message: message(at: position))
    }

    package func makeIterator() -> Iterator { Iterator(records: self, messages: messages) }

    /// Concrete, so that a loop over records in another module is not compiled to generic code.
    package struct Iterator: IteratorProtocol {
        private let records: ConsumedRecords
        private let messages: [UnsafeMutablePointer<rd_kafka_message_t>?]
        private var index = 0

        fileprivate init(records: ConsumedRecords, messages: [UnsafeMutablePointer<rd_kafka_message_t>?]) {
            self.records = records
            self.messages = messages
        }

        package mutating func next() -> ConsumedRecord? {
            guard index < messages.count, let message = messages[index] else { return nil }
            index += 1
            return ConsumedRecord(records: records, message: message)
        }
    }
}

/// What a poll tells besides records.
package enum ConsumerEvent: Sendable, Equatable {
    /// Everything before `offset` of the partition was given; comes again after later records.
    case endReached(TopicPartition, offset: Int64)
    /// Fetching a partition failed (e.g. `offsetOutOfRange`, `unknownTopic`, `unauthorized`).
    case partitionFailed(TopicPartition, KafkaError)
    /// The client failed; go on polling unless `isFatal`.
    case failed(KafkaError)
    case rebalanced(KafkaRebalance)
}

/// One record, valid as long as it is held.
package struct ConsumedRecord: @unchecked Sendable {
    private let records: ConsumedRecords
    private let message: UnsafeMutablePointer<rd_kafka_message_t>

    init(records: ConsumedRecords, message: UnsafeMutablePointer<rd_kafka_message_t>) {
        self.records = records
        self.message = message
    }

    /// Makes a String: not for the hot path of a reader that knows its topic.
    package var topic: String { String(cString: rd_kafka_topic_name(message.pointee.rkt)) }
    package var partition: Int32 { message.pointee.partition }
    package var offset: Int64 { message.pointee.offset }
    package var topicPartition: TopicPartition { TopicPartition(topic, partition) }
    package var valueBytes: Int { message.pointee.len }

    /// Milliseconds since 1970, set by the producer or the broker; nil where the topic has none.
    package var timestampMilliseconds: Int64? {
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = rd_kafka_message_timestamp(message, &kind)
        return kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : timestamp
    }

    /// Gives the key's bytes in place; nil for the null key. The buffer ends with the closure.
    package func withKey<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer?) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let (key, length) = (message.pointee.key, message.pointee.key_len)
        return try body(key.map { UnsafeRawBufferPointer(start: $0, count: length) })
    }

    /// Gives the value's bytes in place; nil for the null value. The buffer ends with the closure.
    package func withValue<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer?) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let (value, length) = (message.pointee.payload, message.pointee.len)
        return try body(value.map { UnsafeRawBufferPointer(start: $0, count: length) })
    }

    /// Gives the bytes of the last header of this name; nil when there is none or it is null.
    package func withHeader<Result, Failure: Error>(
        _ name: String, _ body: (UnsafeRawBufferPointer?) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var headers: OpaquePointer?
        var value: UnsafeRawPointer?
        var length = 0
        // Parsed at the first call, then kept with the message.
        if rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR {
            rd_kafka_header_get_last(headers, name, &value, &length)
        }
        return try body(value.map { UnsafeRawBufferPointer(start: $0, count: length) })
    }

    /// Copies of the parts, for records that are few.
    package var key: [UInt8]? { withKey { bytes in bytes.map { [UInt8]($0) } } }
    package var value: [UInt8]? { withValue { bytes in bytes.map { [UInt8]($0) } } }
    package func header(_ name: String) -> [UInt8]? {
        withHeader(name) { bytes in bytes.map { [UInt8]($0) } }
    }

    /// A header that holds a decimal number, read without making a String.
    package func integerHeader(_ name: String) -> Int64? {
        withHeader(name) { bytes in
            guard let bytes, !bytes.isEmpty else { return nil }
            var number: Int64 = 0
            for byte in bytes {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                let (shifted, overflow) = number.multipliedReportingOverflow(by: 10)
                let (sum, carry) = shifted.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
                if overflow || carry { return nil }
                number = sum
            }
            return number
        }
    }

    /// All headers in their order; copies.
    package var headers: [RecordBatch.Header] {
        var list: OpaquePointer?
        guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR else { return [] }
        var all: [RecordBatch.Header] = []
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var length = 0
        while rd_kafka_header_get_all(list, all.count, &name, &value, &length) == RD_KAFKA_RESP_ERR_NO_ERROR {
            guard let name else { break }
            let bytes = value.map { [UInt8](UnsafeRawBufferPointer(start: $0, count: length)) }
            all.append((name: String(cString: name), value: bytes))
        }
        return all
    }
}
