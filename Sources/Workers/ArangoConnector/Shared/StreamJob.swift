import KafkaBridge
import ServiceRuntime
import Synchronization
import Workflow

/// What is asked of a stream's job to be given up: its partition went to somebody else, or we end.
final class JobTicket: Sendable {
    private let value = Atomic(false)
    var isAbandoned: Bool { value.load(ordering: .acquiring) }
    func abandon() { value.store(true, ordering: .releasing) }
}

/// One step of one stream: look up how far it is, or store a batch and what follows from its end.
struct StreamJob: Sendable {
    enum Work: Sendable {
        case claim
        case store(StreamBatch, StreamProgress)
    }

    enum Result: Sendable {
        case claimed(StreamProgress)
        case stored(StreamProgress)
        /// Its last word is said: what comes of it is skipped.
        case closed
        /// Nothing is known of its outcome; whoever reads the records next finds it out.
        case abandoned
    }

    let key: StreamLedger.Key
    let tag: StreamTag
    let work: Work
    /// The first offset it does not concern.
    let endOffset: Int64
    let ticket: JobTicket
}

/// What the connectors' jobs work with.
struct SharedParts: Sendable {
    var store: any DocumentStore
    /// Dead letters and events.
    var producer: RenewingProducer
    var eventsTopic: String
    /// Names this process in final events, for people.
    var member: String
    var limits: SharedLimits
    var crashPoints: CrashPoints
    var observe: @Sendable (SharedObservation) -> Void
}

/// Carries out jobs: the same steps as ``StreamConnector``, for one of many streams at a time.
struct StreamJobRunner: Sendable {
    let parts: SharedParts

    private static let retryPause = Duration.milliseconds(200)
    /// Others that store the same stream are zombies: there are few.
    private static let racesMax = 100

    func run(_ job: StreamJob) async -> StreamJob.Result {
        do throws(ConnectorError) {
            switch job.work {
            case .claim: return .claimed(try await claim(job))
            case .store(let batch, let progress): return try await store(batch, progress, job)
            }
        } catch {
            if job.ticket.isAbandoned || error.reason == .stopped { return .abandoned }
            var progress: StreamProgress?
            if case .store(_, let before) = job.work { progress = before }
            return await close(job, progress: progress, endedAt: job.endOffset, error: error)
        }
    }

    private func patience(_ job: StreamJob) -> StorePatience {
        let observe = parts.observe
        var hooks = ConnectorHooks()
        hooks.shouldStop = { job.ticket.isAbandoned }
        hooks.observe = { observe(.connector($0)) }
        return StorePatience(limits: parts.limits.stream, hooks: hooks)
    }

    private func claim(_ job: StreamJob) async throws(ConnectorError) -> StreamProgress {
        let store = parts.store
        return try await patience(job).call { _ throws(StoreError) in
            try await Self.waitingForRights { () async throws(StoreError) in
                try await store.ensureCollection(job.tag.collection, indexes: [])
                return try await store.claim(job.tag.name, attempt: 1)
            }
        }
    }

    // MARK: Storing

    private func store(
        _ batch: StreamBatch, _ before: StreamProgress, _ job: StreamJob
    ) async throws(ConnectorError) -> StreamJob.Result {
        var progress = before
        if !batch.isEmpty { progress = try await writeRest(of: batch, before, job) }
        switch batch.ending {
        case nil, .stopped: return .stored(progress)
        case .failed(let error):
            return await close(job, progress: progress, endedAt: batch.endingOffset, error: error)
        case .marker(let marker):
            do throws(ConnectorError) {
                let extra = try await confirm(marker, progress, job)
                return await close(job, progress, marker, extra, endedAt: batch.endingOffset)
            } catch {
                if job.ticket.isAbandoned || error.reason == .stopped { return .abandoned }
                return await close(job, progress: progress, endedAt: batch.endingOffset, error: error)
            }
        }
    }

    /// Writes what others have not written yet; a zombie of an earlier generation may still be at it.
    private func writeRest(
        of whole: StreamBatch, _ before: StreamProgress, _ job: StreamJob
    ) async throws(ConnectorError) -> StreamProgress {
        if !whole.letters.isEmpty { try await send(whole.letters, job) }
        let started = ContinuousClock.now
        let (store, name, observe) = (parts.store, job.tag.name, parts.observe)
        let patience = patience(job)
        var progress = before
        for _ in 0..<Self.racesMax {
            let batch = whole.remaining(after: progress)
            if batch.documents.isEmpty, batch.letterSequences.isEmpty,
                progress.lastSequence >= whole.lastSequence
            {
                return progress
            }
            let from = progress
            parts.crashPoints.reach(.beforeStoreWrite)
            let written = try await patience.call { isRepeated throws(StoreError) -> StreamProgress? in
                try await Self.waitingForRights { () async throws(StoreError) in
                    // The try before may have been applied and only its answer lost.
                    if isRepeated, try await store.claim(name, attempt: 1) != from { return nil }
                    do throws(StoreError) {
                        return try await write(batch, from, job)
                    } catch {
                        guard error.code == .conflict else { throw error }
                        observe(.conflict)
                        return nil
                    }
                }
            }
            parts.crashPoints.reach(.afterStoreWrite)
            if let written {
                observe(
                    .connector(
                        .batchStored(
                            documents: batch.documents.count, bytes: batch.documents.bytes.count,
                            existing: Int(written.duplicates - from.duplicates),
                            took: ContinuousClock.now - started)))
                return written
            }
            progress = try await claim(job)
        }
        throw ConnectorError(.stopped, "others store \(name.rawValue) all the time")
    }

    private func write(
        _ batch: StreamBatch, _ from: StreamProgress, _ job: StreamJob
    ) async throws(StoreError) -> StreamProgress {
        let advance = StreamAdvance(
            stream: job.tag.name, from: from, nextOffset: batch.nextOffset, lastSequence: batch.lastSequence,
            deadLetters: Int64(batch.letterSequences.count))
        let outcome = try await parts.store.write(
            batch.documents, to: job.tag.collection, mode: .insertOrIgnore, advance: advance
        ) { refused in
            var letters = RecordBatch()
            let letter = DeadLetter(partition: job.key.partition, streamHeaders: job.tag.headers)
            for document in refused { letter.append(document, of: batch, traceparent: nil, to: &letters) }
            try await send(letters, job)
        }
        guard let progress = outcome.progress else {
            throw StoreError(
                .corrupt, operation: "write to \(job.tag.collection)", detail: "no progress came back")
        }
        return progress
    }

    /// A store that refuses us now refuses every stream: that is for people to mend, and no stream's fault.
    private static func waitingForRights<Value: Sendable>(
        _ call: () async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        do throws(StoreError) {
            return try await call()
        } catch {
            guard error.code == .denied else { throw error }
            throw StoreError(.unavailable, operation: error.operation, detail: error.detail)
        }
    }

    /// Tried until the broker has them: without them the position must not move.
    private func send(_ letters: RecordBatch, _ job: StreamJob) async throws(ConnectorError) {
        let topic = DerivedName.deadLetterTopic(dataTopic: job.key.partition.topic)
        try await untilDelivered(job) { producer throws(KafkaError) in
            _ = try await producer.send(letters, to: topic)
        }
        parts.observe(.connector(.deadLettersSent(count: letters.count)))
    }

    private func untilDelivered(
        _ job: StreamJob, _ send: (KafkaProducer) async throws(KafkaError) -> Void
    ) async throws(ConnectorError) {
        while true {
            let producer = parts.producer.current
            do throws(KafkaError) {
                return try await send(producer)
            } catch {
                await parts.producer.renew(producer, after: error)
                parts.observe(.sendFailed(error))
                if job.ticket.isAbandoned { throw ConnectorError(.stopped, "stopped while \(error)") }
                try? await Task.sleep(for: Self.retryPause)
                if Task.isCancelled { throw ConnectorError(.stopped, "cancelled while \(error)") }
            }
        }
    }

    // MARK: The end of a stream

    /// Lets the store show that it holds what the marker counts.
    private func confirm(
        _ marker: EndMarker, _ progress: StreamProgress, _ job: StreamJob
    ) async throws(ConnectorError) -> [String: JSONValue] {
        var limits = parts.limits.stream
        limits.deadLettersMax = marker.deadLettersMax ?? ConnectorLimits.deadLettersDefault
        if limits.isExceeded(by: progress.deadLetters, of: marker.count) {
            throw ConnectorError(
                .tooManyDeadLetters,
                "\(progress.deadLetters) of \(marker.count) records are dead letters (dead_letters_max is "
                    + "\(limits.deadLettersMax)); their reasons are in "
                    + DerivedName.deadLetterTopic(dataTopic: job.key.partition.topic))
        }
        let count = RangeCount(
            store: parts.store, collection: job.tag.collection, symbol: job.tag.symbol,
            interval: job.tag.interval)
        let expected = marker.count - progress.deadLetters
        let found = try await count.documents(of: marker, atLeast: expected, patience(job))
        parts.observe(.connector(.confirmed(documents: found, expected: expected)))
        if found < expected, job.ticket.isAbandoned {
            throw ConnectorError(.stopped, "stopped while the range was counted")
        }
        return try RangeCount.verdict(
            found: found, expected: expected, marker, deadLetters: progress.deadLetters)
    }

    private func close(
        _ job: StreamJob, _ progress: StreamProgress, _ marker: EndMarker, _ extra: [String: JSONValue],
        endedAt offset: Int64?
    ) async -> StreamJob.Result {
        var counts = InstanceCounts(progress)
        counts.lastKey = marker.lastKey
        var event = event(.finished, job.tag, counts, seq: (offset ?? progress.nextOffset) + 1)
        event.message = "Finished"
        event.extra = extra.merging(["connector": .string(parts.member)]) { own, _ in own }
        return await deliver(event, job) ? closed(.finished) : .abandoned
    }

    private func close(
        _ job: StreamJob, progress: StreamProgress?, endedAt offset: Int64?, error: ConnectorError
    ) async -> StreamJob.Result {
        let seq = offset.map { $0 + 1 } ?? (progress?.nextOffset ?? 0) + 1
        var event = event(.error, job.tag, progress.map { InstanceCounts($0) } ?? InstanceCounts(), seq: seq)
        event.message = "Failed"
        event.reason = error.reason.rawValue
        event.error = String(error.detail.prefix(2_000))
        event.extra = ["connector": .string(parts.member)]
        return await deliver(event, job) ? closed(.error) : .abandoned
    }

    private func closed(_ status: QueueEvent.Status) -> StreamJob.Result {
        parts.observe(.streamClosed(status))
        return .closed
    }

    private func deliver(_ event: QueueEvent, _ job: StreamJob) async -> Bool {
        guard let value = try? MessageCodec.encode(event) else { return false }
        let (key, topic) = (Array(event.queueID.rawValue.utf8), parts.eventsTopic)
        do throws(ConnectorError) {
            try await untilDelivered(job) { producer throws(KafkaError) in
                _ = try await producer.send(key: key, value: value, to: topic)
            }
            return true
        } catch {
            return false
        }
    }

    /// Tells how far a stream is; one that gets lost is made up for by the next.
    func report(_ progress: StreamProgress, of tag: StreamTag) async {
        var event = event(.loading, tag, InstanceCounts(progress), seq: progress.nextOffset)
        event.message = "Storing"
        guard let value = try? MessageCodec.encode(event) else { return }
        var batch = RecordBatch()
        batch.append(key: Array(event.queueID.rawValue.utf8), value: value)
        _ = try? await parts.producer.current.enqueue(batch, to: parts.eventsTopic)
    }

    /// Its number follows from the place in the topic: the same from whichever connector it comes.
    private func event(
        _ status: QueueEvent.Status, _ tag: StreamTag, _ counts: InstanceCounts, seq: Int64
    ) -> QueueEvent {
        QueueEvent(
            status: status, queueID: tag.queueID, step: tag.id.step, instance: tag.id.instance,
            attempt: tag.attempt, seq: seq,
            producer: DerivedName.producerID(
                target: .arangoConnector, queue: tag.queueID, instance: tag.id.instance, attempt: tag.attempt),
            workerID: DerivedName.connectorGroup, symbol: tag.symbol.rawValue, type: tag.type, message: "",
            counts: counts, timestamp: UTCTimestamp.now().seconds)
    }
}

extension InstanceCounts {
    /// Every number up to the last one was read.
    init(_ progress: StreamProgress) {
        self.init(
            recordsRead: progress.lastSequence, recordsWritten: progress.recordsWritten,
            duplicates: progress.duplicates, deadLetters: progress.deadLetters,
            lastSeq: progress.lastSequence)
    }
}
