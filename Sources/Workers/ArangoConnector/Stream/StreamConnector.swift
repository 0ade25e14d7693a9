import KafkaBridge
import Workflow

/// Brings the records of one partition into a collection, from the stored position to the end marker.
///
/// While one batch is written the next one is read and checked; there are never more than these two. The
/// store's position moves with the documents, so that after a crash at any point the next attempt goes on
/// with at most a batch that is written again, which changes nothing.
package struct StreamConnector: Sendable {
    private let parts: ConnectorParts
    private let stream: ConnectorStream
    private let limits: ConnectorLimits
    private let hooks: ConnectorHooks
    private let writer: StreamWriter

    package init(
        _ stream: ConnectorStream, parts: ConnectorParts, limits: ConnectorLimits = ConnectorLimits(),
        hooks: ConnectorHooks = ConnectorHooks()
    ) {
        self.parts = parts
        self.stream = stream
        self.limits = limits
        self.hooks = hooks
        writer = StreamWriter(parts: parts, stream: stream, limits: limits, hooks: hooks)
    }

    /// How far the run is; kept here so that a failure is reported with the counts.
    private struct Course {
        var place = StreamWriter.Place(progress: StreamProgress(), committed: nil)
        var repeatedDeliveries: Int64 = 0
        var lastKey: String?
        /// Since when nothing came after what was read; nil while something does.
        var atEndSince: ContinuousClock.Instant?

        var waitsAtEnd: Duration { atEndSince.map { ContinuousClock.now - $0 } ?? .zero }

        mutating func note(_ batch: StreamBatch) {
            repeatedDeliveries += batch.repeatedDeliveries
            lastKey = batch.lastKey ?? lastKey
            if !batch.isEmpty { atEndSince = nil }
            if batch.partitionEnd != nil { atEndSince = atEndSince ?? .now }
        }

        /// Every number up to the last one was read, by this attempt or an earlier one.
        var counts: InstanceCounts {
            InstanceCounts(
                recordsRead: place.progress.lastSequence, recordsWritten: place.progress.recordsWritten,
                duplicates: place.progress.duplicates, deadLetters: place.progress.deadLetters,
                lastKey: lastKey, lastSeq: place.progress.lastSequence)
        }
    }

    package func run() async -> ConnectorOutcome {
        var course = Course()
        do throws(ConnectorError) {
            try await claim(&course)
            switch try await storeAll(&course) {
            case .marker(let marker): return try await confirm(marker, course)
            case .stopped: return .interrupted(course.counts)
            case .failed(let error): throw error
            }
        } catch {
            switch error.reason {
            case .superseded: return .superseded
            case .stopped: return .interrupted(course.counts)
            case .retriable, .final, .tooManyDeadLetters, .upstreamFailed, .dataLost:
                return .failed(course.counts, error)
            }
        }
    }

    /// Takes the stream over and begins to read where earlier attempts ended.
    private func claim(_ course: inout Course) async throws(ConnectorError) {
        let patience = StorePatience(limits: limits, hooks: hooks)
        let progress = try await patience.call { _ throws(StoreError) in
            // Keys order by time, and ranges go by key: no further index is needed.
            try await parts.store.ensureCollection(stream.collection, indexes: [])
            return try await parts.store.claim(stream.name, attempt: stream.attempt)
        }
        course.place.progress = progress
        hooks.observe(.resumed(progress))
        hooks.report(course.counts, .zero)
        if limits.isExceeded(by: progress.deadLetters, of: nil) { throw writer.tooManyDeadLetters(progress) }
        do throws(KafkaError) {
            // By the consumer itself: it then knows the leader and fetches at once.
            try check(progress, against: try await parts.consumer.watermarks(of: stream.partition))
            try await parts.consumer.assign([stream.partition: .offset(progress.nextOffset)])
        } catch {
            throw ConnectorError(error)
        }
    }

    /// A position that is not in the partition means lost records, or another topic under the same name:
    /// reading on from anywhere else would skip them silently.
    private func check(_ progress: StreamProgress, against ends: Watermarks) throws(KafkaError) {
        guard progress.nextOffset < ends.low || progress.nextOffset > ends.high else { return }
        throw KafkaError(
            .offsetOutOfRange, operation: "read \(stream.partition) from offset \(progress.nextOffset)",
            detail: "the partition holds \(ends.low) to \(ends.high)")
    }

    private func storeAll(_ course: inout Course) async throws(ConnectorError) -> StreamBatch.Ending {
        var reader = PartitionReader(
            parts, stream: stream, limits: limits, hooks: hooks, after: course.place.progress)
        var batch = await reader.next()
        while true {
            let (current, place, writer) = (batch, course.place, writer)
            async let stored = Self.outcome { () async throws(ConnectorError) in
                try await writer.store(current, at: place)
            }
            if current.ending == nil { batch = await reader.next() }
            course.place = try await stored.get()
            course.note(current)
            hooks.report(course.counts, course.waitsAtEnd)
            if let ending = current.ending { return ending }
        }
    }

    private static func outcome<Value: Sendable>(
        _ body: @Sendable () async throws(ConnectorError) -> Value
    ) async -> Result<Value, ConnectorError> {
        do throws(ConnectorError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// Lets the store show that it holds what the marker counts.
    private func confirm(
        _ marker: EndMarker, _ course: Course
    ) async throws(ConnectorError) -> ConnectorOutcome {
        let progress = course.place.progress
        var counts = course.counts
        counts.lastKey = marker.lastKey
        if limits.isExceeded(by: progress.deadLetters, of: marker.count) {
            throw writer.tooManyDeadLetters(progress)
        }
        let expected = marker.count - progress.deadLetters
        let count = RangeCount(
            store: parts.store, collection: stream.collection, symbol: stream.symbol,
            interval: stream.interval)
        let found = try await count.documents(
            of: marker, atLeast: expected, StorePatience(limits: limits, hooks: hooks))
        hooks.observe(.confirmed(documents: found, expected: expected))
        if found < expected, hooks.shouldStop() {
            throw ConnectorError(.stopped, "stopped while the range was counted")
        }
        var extra = try RangeCount.verdict(
            found: found, expected: expected, marker, deadLetters: progress.deadLetters)
        await writer.commitEnd()
        extra["repeated_deliveries"] = .integer(course.repeatedDeliveries)
        return .finished(counts, extra: extra)
    }
}
