import CRdkafka
import KafkaBridge

/// librdkafka's mock cluster: in this process, with faults on request. It ends with its last reference.
///
/// `@unchecked Sendable`: the mock locks inside; the pointers never change.
final class MockCluster: @unchecked Sendable {
    enum Request: Int16 {
        case produce = 0
        case fetch = 1
        case offsetCommit = 8
        case initProducerID = 22
        case endTransaction = 26
    }

    private let client: OpaquePointer
    private let cluster: OpaquePointer
    let connection: KafkaConnection

    init(brokers: Int32 = 1) throws {
        var reason = [CChar](repeating: 0, count: 256)
        guard
            let client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), &reason, reason.count),
            let cluster = rd_kafka_mock_cluster_new(client, brokers)
        else { throw KafkaError(.other, operation: "start a mock cluster", detail: "refused") }
        self.client = client
        self.cluster = cluster
        connection = KafkaConnection(String(cString: rd_kafka_mock_cluster_bootstraps(cluster)))
    }

    deinit {
        rd_kafka_mock_cluster_destroy(cluster)
        rd_kafka_destroy(client)
    }

    func createTopic(_ name: String, partitions: Int32) {
        rd_kafka_mock_topic_create(cluster, name, partitions, 1)
    }

    func setLeader(of topic: String, _ broker: Int32) {
        rd_kafka_mock_partition_set_leader(cluster, topic, 0, broker)
    }

    /// Breaks its connections and takes no more.
    func stop(_ broker: Int32) { rd_kafka_mock_broker_set_down(cluster, broker) }

    func fail(_ request: Request, _ error: rd_kafka_resp_err_t, count: Int = 1) {
        crdk_mock_fail_requests(cluster, request.rawValue, count, error)
    }
}
