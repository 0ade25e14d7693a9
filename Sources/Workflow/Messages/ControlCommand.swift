/// An order to the workers of a queue, on `queue-control` with the queue id as key (design "Contracts").
package struct ControlCommand: Sendable, Hashable, Codable {
    package enum Command: String, Sendable, Hashable, Codable {
        case start, stop, ping
    }

    package var command: Command
    /// The `command_seq` of commands sent by hand: they neither are ignored for their number nor make a
    /// worker ignore the engine's next one.
    package static let outOfSequence: Int64 = 0

    package var queueID: QueueID
    /// nil means every step, instance, attempt of the queue.
    package var step: StepID?
    package var instance: String?
    package var attempt: Int?
    package var target: Target?
    package var commandID: String
    /// Rises within a queue; a worker ignores a command with a lower one than it has seen.
    package var commandSeq: Int64
    /// Why, e.g. `stop_requested`, `attempt_lost`, `upstream_failed`.
    package var reason: String?
    /// Unix seconds with fraction, wall clock.
    package var timestamp: Double
    package var traceparent: String?

    package enum CodingKeys: String, CodingKey {
        case command, step, instance, attempt, target, reason, timestamp, traceparent
        case queueID = "queue_id"
        case commandID = "command_id"
        case commandSeq = "command_seq"
    }

    package init(
        command: Command, queueID: QueueID, step: StepID? = nil, instance: String? = nil, attempt: Int? = nil,
        target: Target? = nil, commandID: String, commandSeq: Int64, reason: String? = nil, timestamp: Double,
        traceparent: String? = nil
    ) {
        self.command = command
        self.queueID = queueID
        self.step = step
        self.instance = instance
        self.attempt = attempt
        self.target = target
        self.commandID = commandID
        self.commandSeq = commandSeq
        self.reason = reason
        self.timestamp = timestamp
        self.traceparent = traceparent
    }

    /// Whether the command means this attempt.
    package func concerns(_ queue: QueueID, _ id: InstanceID, attempt: Int) -> Bool {
        queueID == queue && (step ?? id.step) == id.step && (instance ?? id.instance) == id.instance
            && (self.attempt ?? attempt) == attempt
    }
}
