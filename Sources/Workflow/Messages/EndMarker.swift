/// The last record of a data partition: how much came before it (design decision 6).
package struct EndMarker: Sendable, Hashable, Codable {
    /// The last `sf-seq`; 0 when the range was empty.
    package var count: Int64
    /// nil when the range was empty.
    package var firstKey: String?
    package var lastKey: String?

    package enum CodingKeys: String, CodingKey {
        case count
        case firstKey = "first_key"
        case lastKey = "last_key"
    }

    package init(count: Int64, firstKey: String?, lastKey: String?) {
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
    /// Why a record became a dead letter (on dead-letter topics).
    package static let reason = "sf-reason"
}
