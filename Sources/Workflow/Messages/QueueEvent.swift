/// What a worker says about its attempt on `queue-events` (design "Contracts").
///
/// Counts are those of the instance over all its attempts. `(queueID, step, instance, attempt, seq)` names
/// an event, so that a repeat is harmless.
package struct QueueEvent: Sendable, Hashable, Codable {
    package enum Status: String, Sendable, Hashable, Codable {
        case started, loading, finished, error, interrupted

        /// Whether the attempt is over.
        package var isFinal: Bool { self == .finished || self == .error || self == .interrupted }
    }

    /// `status` for the life of the attempt, `pong` as the answer to a ping.
    package enum Kind: String, Sendable, Hashable, Codable {
        case status, pong
    }

    package var event: Kind
    package var status: Status?
    /// Why an attempt ended early, a word of a closed set: see ``EndReason``.
    package var reason: String?
    package var queueID: QueueID
    package var step: StepID
    package var instance: String
    package var attempt: Int
    /// Rises within an attempt, from 1; may have gaps.
    package var seq: Int64
    package var producer: String
    /// Names the process: a second process of the same attempt has another.
    package var workerID: String
    package var symbol: String
    package var type: String
    package var message: String
    package var recordsRead: Int64
    package var recordsWritten: Int64
    package var duplicates: Int64
    package var deadLetters: Int64
    package var lastKey: String?
    package var lastSeq: Int64?
    /// Whether this is the last event of the attempt.
    package var finished: Bool
    package var error: String?
    package var extra: [String: JSONValue]?
    /// Unix seconds with fraction, wall clock: for people, never for decisions.
    package var timestamp: Double
    package var traceparent: String?

    package enum CodingKeys: String, CodingKey {
        case event, status, reason, step, instance, attempt, seq, producer, symbol, type, message, duplicates
        case finished, error, extra, timestamp, traceparent
        case queueID = "queue_id"
        case workerID = "worker_id"
        case recordsRead = "records_read"
        case recordsWritten = "records_written"
        case deadLetters = "dead_letters"
        case lastKey = "last_key"
        case lastSeq = "last_seq"
    }

    package init(
        event: Kind = .status, status: Status?, reason: String? = nil, queueID: QueueID, step: StepID,
        instance: String, attempt: Int, seq: Int64, producer: String, workerID: String, symbol: String,
        type: String, message: String, counts: InstanceCounts = InstanceCounts(), error: String? = nil,
        extra: [String: JSONValue]? = nil, timestamp: Double, traceparent: String? = nil
    ) {
        self.event = event
        self.status = status
        self.reason = reason
        self.queueID = queueID
        self.step = step
        self.instance = instance
        self.attempt = attempt
        self.seq = seq
        self.producer = producer
        self.workerID = workerID
        self.symbol = symbol
        self.type = type
        self.message = message
        recordsRead = counts.recordsRead
        recordsWritten = counts.recordsWritten
        duplicates = counts.duplicates
        deadLetters = counts.deadLetters
        lastKey = counts.lastKey
        lastSeq = counts.lastSeq
        finished = status?.isFinal ?? false
        self.error = error
        self.extra = extra
        self.timestamp = timestamp
        self.traceparent = traceparent
    }

    package var counts: InstanceCounts {
        InstanceCounts(
            recordsRead: recordsRead, recordsWritten: recordsWritten, duplicates: duplicates,
            deadLetters: deadLetters, lastKey: lastKey, lastSeq: lastSeq)
    }
}

/// What an instance has done so far, over all its attempts.
package struct InstanceCounts: Sendable, Hashable, Codable {
    package var recordsRead: Int64
    package var recordsWritten: Int64
    package var duplicates: Int64
    package var deadLetters: Int64
    package var lastKey: String?
    package var lastSeq: Int64?

    package init(
        recordsRead: Int64 = 0, recordsWritten: Int64 = 0, duplicates: Int64 = 0, deadLetters: Int64 = 0,
        lastKey: String? = nil, lastSeq: Int64? = nil
    ) {
        self.recordsRead = recordsRead
        self.recordsWritten = recordsWritten
        self.duplicates = duplicates
        self.deadLetters = deadLetters
        self.lastKey = lastKey
        self.lastSeq = lastSeq
    }
}

/// Why an attempt ended other than `finished`.
package enum EndReason: String, Sendable, Hashable, Codable {
    /// A `stop` command or SIGTERM.
    case stopped
    /// A later attempt has taken over, or this one was ended before it began.
    case superseded
    /// Worth another attempt: the other side is away, broken or busy.
    case retriable
    /// Will fail again in the same way: refused input, a defect.
    case final
    /// More dead letters than the step allows.
    case tooManyDeadLetters = "too_many_dead_letters"
    /// What it read from ended without an end marker.
    case upstreamFailed = "upstream_failed"
    /// Records that the broker had confirmed are not there: the queue has to run again.
    case dataLost = "data_lost"
}
