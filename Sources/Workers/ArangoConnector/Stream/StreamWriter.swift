import KafkaBridge
import Workflow

/// Makes a batch durable: dead letters first, then documents with the position, then Kafka's copy of it.
struct StreamWriter: Sendable {
    /// Where the stream stands.
    struct Place: Sendable {
        /// As the store has it.
        var progress: StreamProgress
        /// As Kafka's group has it; nil before the first commit.
        var committed: Int64?
    }

    let parts: ConnectorParts
    let stream: ConnectorStream
    let limits: ConnectorLimits
    let hooks: ConnectorHooks

    private var patience: StorePatience { StorePatience(limits: limits, hooks: hooks) }
    private static let leasePoll = Duration.milliseconds(50)

    /// - Throws: ``ConnectorError``: also `too_many_dead_letters`, with the batch stored.
    func store(_ batch: StreamBatch, at place: Place) async throws(ConnectorError) -> Place {
        var place = place
        if !batch.isEmpty || batch.nextOffset > place.progress.nextOffset {
            try await waitForLease()
            if !batch.letters.isEmpty { try await send(batch.letters) }
            let started = ContinuousClock.now
            let before = place.progress
            hooks.crashPoints.reach(.beforeStoreWrite)
            place.progress = try await write(batch, from: before)
            hooks.crashPoints.reach(.afterStoreWrite)
            hooks.observe(
                .batchStored(
                    documents: batch.documents.count, bytes: batch.documents.bytes.count,
                    existing: Int(place.progress.duplicates - before.duplicates),
                    took: ContinuousClock.now - started))
        }
        let position = max(place.progress.nextOffset, batch.partitionEnd ?? 0)
        if position != place.committed, position > 0 {
            await commit(position)
            place.committed = position
        }
        if limits.isExceeded(by: place.progress.deadLetters, of: nil) {
            throw tooManyDeadLetters(place.progress)
        }
        return place
    }

    /// Commits the end of the partition, so that what comes after the end marker (transaction markers,
    /// aborted records) leaves no lag.
    func commitEnd() async {
        do {
            await commit(try await parts.consumer.watermarks(of: stream.partition).high)
        } catch {
            hooks.observe(.positionCommitFailed(error))
        }
    }

    func tooManyDeadLetters(_ progress: StreamProgress) -> ConnectorError {
        ConnectorError(
            .tooManyDeadLetters,
            "\(progress.deadLetters) of \(progress.lastSequence) records are dead letters "
                + "(DEAD_LETTERS_MAX is \(limits.deadLettersMax)); their reasons are in "
                + stream.deadLetterTopic)
    }

    private func write(
        _ batch: StreamBatch, from progress: StreamProgress
    ) async throws(ConnectorError) -> StreamProgress {
        let advance = StreamAdvance(
            stream: stream.name, from: progress, nextOffset: batch.nextOffset,
            lastSequence: batch.lastSequence, deadLetters: Int64(batch.letters.count))
        return try await patience.call { isRepeated throws(StoreError) in
            if isRepeated {
                // The try before may have been applied and only its answer lost.
                let stored = try await parts.store.claim(stream.name, attempt: stream.attempt)
                let isApplied =
                    stored.nextOffset == advance.nextOffset && stored.lastSequence == advance.lastSequence
                if isApplied, stored != progress { return stored }
            }
            let outcome = try await parts.store.write(
                batch.documents, to: stream.collection, mode: .insertOrIgnore, advance: advance
            ) { refused in
                var letters = RecordBatch()
                let letter = DeadLetter(partition: stream.partition)
                for document in refused {
                    letter.append(document, of: batch, traceparent: stream.traceparent, to: &letters)
                }
                try await send(letters)
            }
            guard let progress = outcome.progress else {
                throw StoreError(
                    .corrupt, operation: "write to \(stream.collection)", detail: "no progress came back")
            }
            return progress
        }
    }

    private func send(_ letters: RecordBatch) async throws(ConnectorError) {
        do throws(KafkaError) {
            _ = try await parts.producer.send(letters, to: stream.deadLetterTopic)
        } catch {
            throw ConnectorError(error)
        }
        hooks.observe(.deadLettersSent(count: letters.count))
    }

    /// Only the lag that others see depends on it: a failure is observed, and the next commit makes up for it.
    private func commit(_ position: Int64) async {
        hooks.crashPoints.reach(.beforePositionCommit)
        do throws(KafkaError) {
            try await parts.consumer.commit([stream.partition: position])
        } catch {
            hooks.observe(.positionCommitFailed(error))
        }
        hooks.crashPoints.reach(.afterPositionCommit)
    }

    private func waitForLease() async throws(ConnectorError) {
        let deadline = ContinuousClock.now + limits.leaseWait
        while !hooks.mayWrite() {
            if hooks.shouldStop() { throw ConnectorError(.stopped, "stopped while no heartbeat got through") }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw ConnectorError(.retriable, "no heartbeat got through for \(limits.leaseWait)")
            }
            try? await Task.sleep(for: Self.leasePoll)
        }
    }
}
