internal import CRdkafka

/// Broker look-ups that both consumers and the admin client make. They block: only on a client's own thread.
extension ClientCore {
    /// The first offset at or after a time in milliseconds; nil where there is none.
    func offsets(
        forTimes times: [TopicPartition: Int64], timeout: Duration
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        let list = PartitionList(times)
        let result = rd_kafka_offsets_for_times(client, list.pointer, timeout.milliseconds)
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw error(result, operation: "look up offsets by time")
        }
        return try list.positions("look up offsets by time")
    }
}
