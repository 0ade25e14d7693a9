import Workflow

/// What the engine asks of the message broker.
package struct EngineBroker: Sendable {
    /// Creates a data topic unless it exists: (name, partitions, configuration).
    package var createTopic: @Sendable (String, Int32, [String: String]) async throws -> Void
    /// Deletes topics; those that do not exist are fine.
    package var deleteTopics: @Sendable ([String]) async throws -> Void
    /// The names of all topics there are, of others too.
    package var topicNames: @Sendable () async throws -> [String]
    /// The offset after the last record of a partition.
    package var endOffset: @Sendable (_ topic: String, _ partition: Int32) async throws -> Int64
    /// The same of every partition of the control topic, in their order.
    package var controlEnds: @Sendable () async throws -> [Int64]
    /// Sends a control command and waits until it is stored.
    package var send: @Sendable (ControlCommand) async throws -> Void
    package var controlTopic: String
    package var eventsTopic: String
    /// Partitions of the control and of the events topic.
    package var controlPartitions: Int32
    package var eventsPartitions: Int32

    package init(
        createTopic: @escaping @Sendable (String, Int32, [String: String]) async throws -> Void,
        deleteTopics: @escaping @Sendable ([String]) async throws -> Void,
        topicNames: @escaping @Sendable () async throws -> [String],
        endOffset: @escaping @Sendable (_ topic: String, _ partition: Int32) async throws -> Int64,
        controlEnds: @escaping @Sendable () async throws -> [Int64],
        send: @escaping @Sendable (ControlCommand) async throws -> Void, controlTopic: String,
        eventsTopic: String,
        controlPartitions: Int32, eventsPartitions: Int32
    ) {
        self.createTopic = createTopic
        self.deleteTopics = deleteTopics
        self.topicNames = topicNames
        self.endOffset = endOffset
        self.controlEnds = controlEnds
        self.send = send
        self.controlTopic = controlTopic
        self.eventsTopic = eventsTopic
        self.controlPartitions = controlPartitions
        self.eventsPartitions = eventsPartitions
    }

    func controlPartition(of queue: QueueID) -> Int32 {
        KeyPartition.of(queue.rawValue, count: controlPartitions)
    }
    func eventPartition(of queue: QueueID) -> Int32 {
        KeyPartition.of(queue.rawValue, count: eventsPartitions)
    }
}
