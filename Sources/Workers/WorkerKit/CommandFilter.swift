import Workflow

/// Picks the commands that concern this attempt out of a partition that carries those of many queues.
package struct CommandFilter: Sendable {
    package enum Reaction: Sendable, Equatable {
        /// For others, older than one seen before, or of a kind a running worker does not act on.
        case skip
        case stop(reason: String?)
        case answer(ControlCommand)
    }

    private let queueID: QueueID
    private let instance: InstanceID
    private let attempt: Int
    /// The highest number seen. Equal ones pass: a command is sent again until its effect is seen.
    private var lastSeq = Int64.min

    package init(queueID: QueueID, instance: InstanceID, attempt: Int) {
        self.queueID = queueID
        self.instance = instance
        self.attempt = attempt
    }

    package mutating func apply(_ command: ControlCommand) -> Reaction {
        guard command.queueID == queueID else { return .skip }
        if command.commandSeq != ControlCommand.outOfSequence {
            guard command.commandSeq >= lastSeq else { return .skip }
            lastSeq = command.commandSeq
        }
        guard command.concerns(queueID, instance, attempt: attempt) else { return .skip }
        switch command.command {
        case .stop: return .stop(reason: command.reason)
        case .ping: return .answer(command)
        case .start: return .skip
        }
    }
}
