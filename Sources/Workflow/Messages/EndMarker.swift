/// The last record of a data partition: how much came before it (design decision 6).
package struct EndMarker: Sendable, Hashable, Codable {
    /// The last `sf-seq`; 0 when the range was empty.
    package var count: Int64
    /// nil when the range was empty.
    package var firstKey: String?
    package var lastKey: String?
    /// On a shared topic: how many dead letters the reading step allows; nil on a topic of one queue, whose reader
    /// knows it.
    package var deadLettersMax: Int64?

    package enum CodingKeys: String, CodingKey {
        case count
        case deadLettersMax = "dead_letters_max"
        case firstKey = "first_key"
        case lastKey = "last_key"
    }

    package init(count: Int64, firstKey: String?, lastKey: String?, deadLettersMax: Int64? = nil) {
        self.deadLettersMax = deadLettersMax
        self.count = count
        self.firstKey = firstKey
        self.lastKey = lastKey
    }
}

/// The headers of data records.
package enum RecordHeader {
    /// Decimal text, 1, 2, 3 … within an instance.
    package static let sequence = "sf-seq"
    /// Decimal text: the attempt that wrote the record.
    package static let attempt = "sf-attempt"
    /// Present, with value `1`, on the end marker only.
    package static let end = "sf-end"
    /// W3C trace context of the request that started the queue.
    package static let traceparent = "traceparent"
    /// On shared topics, whose record it is: the queue, and step, instance and attempt of the instance that is to
    /// store it.
    package static let queue = "sf-queue"
    package static let step = "sf-step"
    package static let instance = "sf-instance"
    package static let sinkAttempt = "sf-sink-attempt"
    /// On shared topics: where the document goes.
    package static let collection = "sf-collection"
    /// On shared topics: the interval of a candle, as keys write it.
    package static let interval = "sf-interval"
    /// On shared topics: the type of the data, as the request named it.
    package static let type = "sf-type"
    /// Why a record became a dead letter (on dead-letter topics).
    package static let reason = "sf-reason"
}
