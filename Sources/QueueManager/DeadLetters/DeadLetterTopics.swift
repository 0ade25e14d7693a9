import KafkaBridge

/// What the collector asks of the broker.
package struct DeadLetterTopics: Sendable {
    /// Records from the lower bound on, and where to go on reading.
    package struct Page: Sendable {
        package var records: [DeadRecord]
        package var nextOffset: Int64

        package init(records: [DeadRecord], nextOffset: Int64) {
            self.records = records
            self.nextOffset = nextOffset
        }
    }

    /// The offsets a topic's partition 0 has; nil when there is no such topic.
    package var bounds: @Sendable (_ topic: String) async throws -> Range<Int64>?
    /// The first records of these offsets, at most ``pageRecordsMax`` and ``pageBytesMax``; what is no record
    /// (transaction markers, holes) is passed.
    package var read: @Sendable (_ topic: String, _ offsets: Range<Int64>) async throws -> Page

    package static let pageRecordsMax = 1_000
    /// One record may go beyond it.
    package static let pageBytesMax = 8 << 20

    package init(
        bounds: @escaping @Sendable (_ topic: String) async throws -> Range<Int64>?,
        read: @escaping @Sendable (_ topic: String, _ offsets: Range<Int64>) async throws -> Page
    ) {
        self.bounds = bounds
        self.read = read
    }
}

extension DeadLetterTopics {
    /// No record within this time: the topic was deleted meanwhile, or the broker is away.
    private static let silenceMax = Duration.seconds(10)

    /// Over a real broker. Letters are few, so each page has a consumer of its own, and none stays open.
    package static func kafka(
        _ connection: KafkaConnection, observe: @escaping KafkaObserver
    ) throws(KafkaError) -> (topics: DeadLetterTopics, close: @Sendable () async -> Void) {
        let admin = try KafkaAdmin(connection, observe: observe)
        let topics = DeadLetterTopics(
            bounds: { topic in
                guard try await admin.partitionCounts(of: [topic])[topic] ?? 0 > 0 else { return nil }
                let marks = try await admin.watermarks(of: TopicPartition(topic, 0))
                return marks.low..<max(marks.low, marks.high)
            },
            read: { topic, offsets in
                var configuration = KafkaConsumerConfiguration()
                configuration.prefetchBytesMax = pageBytesMax
                let consumer = try KafkaConsumer(connection, configuration, observe: observe)
                do {
                    let page = try await read(topic, offsets, consumer)
                    await consumer.close()
                    return page
                } catch {
                    await consumer.close()
                    throw error
                }
            })
        return (topics, { await admin.close() })
    }

    private static func read(
        _ topic: String, _ offsets: Range<Int64>, _ consumer: KafkaConsumer
    ) async throws -> Page {
        var page = Page(records: [], nextOffset: offsets.lowerBound)
        var bytes = 0
        try await consumer.assign([TopicPartition(topic, 0): .offset(offsets.lowerBound)])
        var lastHeard = ContinuousClock.now
        while page.nextOffset < offsets.upperBound, page.records.count < pageRecordsMax, bytes < pageBytesMax
        {
            let records = try await consumer.poll(
                recordsMax: pageRecordsMax - page.records.count, timeout: .milliseconds(500))
            for record in records where record.offset < offsets.upperBound && bytes < pageBytesMax {
                page.records.append(
                    DeadRecord(
                        offset: record.offset, key: record.key ?? [], value: record.value,
                        headers: record.headers.map { ($0.name, $0.value) }))
                bytes += record.valueBytes
                page.nextOffset = record.offset + 1
                lastHeard = .now
            }
            for event in records.events {
                switch event {
                // The end is told after the records before it.
                case .endReached(_, let offset) where bytes < pageBytesMax:
                    page.nextOffset = max(page.nextOffset, min(offset, offsets.upperBound))
                case .partitionFailed(_, let error): throw error
                case .failed(let error): if error.isFatal { throw error }
                case .endReached, .rebalanced: break
                }
            }
            guard lastHeard.duration(to: .now) < silenceMax else {
                throw KafkaError(
                    .timedOut, operation: "read dead letters of \(topic)",
                    detail: "no record after offset \(page.nextOffset) in \(silenceMax)")
            }
        }
        return page
    }
}
