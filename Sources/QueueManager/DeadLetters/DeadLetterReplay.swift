import RecordChecks
import Workflow

/// Brings letters to their end: into the document store after all, or away.
///
/// The queue-manager writes the document itself: letters are few, and the queue's topics and workers may be
/// gone. A record is checked as the connector checks it, and written insert-or-ignore under its key, so a
/// replay whose answer was lost can be repeated. The counts of the queue stay what they were: a connector
/// that is still at work asks for at least its count less the dead letters.
package struct DeadLetterReplay: Sendable {
    let store: DeadLetterStore
    let documents: any DocumentStore
    let observe: UpkeepObserver

    /// Letters a bulk replay takes at most; it says where to go on.
    package static let bulkMax = 500

    package struct BulkReport: Sendable, Hashable {
        package var replayed = 0
        package var refused: [DeadLetter] = []
        /// Somebody else was at them.
        package var busy = 0
        /// The last letter that was looked at, when there may be more.
        package var next: Int64?
    }

    /// - Parameter edited: the record's value in place of the letter's own.
    /// - Throws: ``StoreError`` when the document store cannot be asked; the letter then stays as it is.
    package func replay(
        _ number: Int64, of queueID: QueueID, edited: [UInt8]?, actor: String
    ) async throws -> DeadLetterOutcome {
        let outcome = try await store.settle(number, of: queueID, actor: actor) { letter, plan in
            try await write(letter, edited: edited, plan)
        }
        report(outcome)
        return outcome
    }

    package func discard(
        _ number: Int64, of queueID: QueueID, actor: String
    ) async throws -> DeadLetterOutcome {
        let outcome = try await store.settle(number, of: queueID, actor: actor) { _, _ in .discarded }
        report(outcome)
        return outcome
    }

    /// Replays open letters after `after` as they are, oldest first; nil when there is no such queue.
    package func replayAll(
        of queueID: QueueID, step: StepID?, after: Int64, actor: String
    ) async throws -> BulkReport? {
        var report = BulkReport()
        var after = after
        let filter = DeadLetterFilter(state: .open, step: step)
        let page = try await store.letters(of: queueID, filter, after: after, limit: Self.bulkMax)
        guard let page else { return nil }
        for letter in page {
            switch try await replay(letter.number, of: queueID, edited: nil, actor: actor) {
            case .settled: report.replayed += 1
            case .refused(let letter): report.refused.append(letter)
            case .busy: report.busy += 1
            case .unknown, .settledBefore: break
            }
            after = letter.number
        }
        if page.count == Self.bulkMax { report.next = after }
        return report
    }

    private func write(_ letter: DeadLetter, edited: [UInt8]?, _ plan: Plan) async throws
        -> DeadLetterStore.Verdict
    {
        guard edited != nil || !letter.isCut else {
            return .refused(
                reason:
                    "only \(letter.value?.count ?? 0) of its \(letter.valueBytes) bytes are kept: give a value"
            )
        }
        let place =
            plan.transport == .shared
            ? DeadLetterPlace(sink: letter.id, of: plan)
            : DeadLetterPlace(
                topic: letter.topic, partition: letter.partition, of: letter.queueID, plan)
        guard let place else { return .refused(reason: "the plan has no step that reads \(letter.key)") }
        let value = edited ?? letter.value ?? []
        var batch = DocumentBatch()
        do {
            let reader = RecordReader(symbol: place.symbol, interval: place.interval)
            let key = try value.withUnsafeBytes { try reader.key(in: $0) }
            batch.append(key: value[key], json: value)
        } catch let error as UnreadableRecord {
            return .refused(reason: error.reason)
        }
        for collection in place.collections {
            try await documents.ensureCollection(collection, indexes: [])
            let outcome = try await documents.write(
                batch, to: collection, mode: .insertOrIgnore, advance: nil
            ) { _ in }
            if let refused = outcome.refused.first { return .refused(reason: refused.reason) }
        }
        return .replayed(edited: edited)
    }

    private func report(_ outcome: DeadLetterOutcome) {
        switch outcome {
        case .settled(let letter): observe(.letterSettled(letter.queueID, letter.number, letter.state))
        case .refused(let letter): observe(.letterRefused(letter.queueID, letter.number))
        case .unknown, .busy, .settledBefore: break
        }
    }
}
