extension DerivedName {
    /// The consumer group of the connectors that read shared topics; also their `worker_id` in events: whichever
    /// of them speaks, it is one worker to the engine.
    package static let connectorGroup = "sf-arango-connector"

    /// Where the records of an instance lie in a shared topic: all in one partition.
    package static func sharedPartition(_ queue: QueueID, _ producer: InstanceID, count: Int32) -> Int32 {
        KeyPartition.of("\(queue)/\(producer.step)/\(producer.instance)", count: count)
    }
}
