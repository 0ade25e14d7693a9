internal import CRdkafka

/// A topic as it should be created.
package struct TopicSpecification: Sendable, Equatable {
    package var name: String
    package var partitions: Int
    /// nil takes the broker's default.
    package var replication: Int?
    /// The broker's topic settings, e.g. `retention.ms`.
    package var configuration: [String: String]

    package init(
        _ name: String, partitions: Int, replication: Int? = nil, configuration: [String: String] = [:]
    ) {
        self.name = name
        self.partitions = partitions
        self.replication = replication
        self.configuration = configuration
    }

    /// The same, whose records go by age alone whatever the broker's defaults, and count as stored when two replicas
    /// have them, if there are three or more.
    package var guarded: TopicSpecification {
        var guards = ["retention.bytes": "-1"]
        if let replication, replication >= 3 { guards["min.insync.replicas"] = "2" }
        var copy = self
        copy.configuration.merge(guards) { own, _ in own }
        return copy
    }
}

extension KafkaAdmin {
    /// Creates topics and waits until the brokers have them.
    ///
    /// - Parameter existingIsFine: a topic that is already there is left as it is and is no error.
    /// - Throws: the first topic's error, with its name; the others may have been created.
    package func createTopics(
        _ topics: [TopicSpecification], existingIsFine: Bool = true, timeout: Duration = .seconds(30)
    ) throws(KafkaError) {
        guard !topics.isEmpty else { return }
        let operation = "create topics"
        var raw: [OpaquePointer?] = []
        defer { for topic in raw { rd_kafka_NewTopic_destroy(topic) } }
        for topic in topics { raw.append(try newTopic(topic)) }
        let core = try core(for: operation)
        let request = AdminRequest(
            RD_KAFKA_ADMIN_OP_CREATETOPICS, core, operation: operation, timeout: timeout)
        rd_kafka_CreateTopics(core.client, &raw, raw.count, request.options, request.queue)
        try request.answer { event throws(KafkaError) in
            var count = 0
            let results = rd_kafka_CreateTopics_result_topics(
                rd_kafka_event_CreateTopics_result(event), &count)
            try check(results, count, "create the topic", ignoring: existingIsFine ? .topicExists : nil)
        }
    }

    /// Deletes topics and waits until the brokers know.
    ///
    /// - Parameter missingIsFine: a topic that is not there is no error.
    package func deleteTopics(
        _ names: [String], missingIsFine: Bool = true, timeout: Duration = .seconds(30)
    ) throws(KafkaError) {
        guard !names.isEmpty else { return }
        let operation = "delete topics"
        let core = try core(for: operation)
        var raw: [OpaquePointer?] = names.map { rd_kafka_DeleteTopic_new($0) }
        defer { for topic in raw { rd_kafka_DeleteTopic_destroy(topic) } }
        let request = AdminRequest(
            RD_KAFKA_ADMIN_OP_DELETETOPICS, core, operation: operation, timeout: timeout)
        rd_kafka_DeleteTopics(core.client, &raw, raw.count, request.options, request.queue)
        try request.answer { event throws(KafkaError) in
            var count = 0
            let results = rd_kafka_DeleteTopics_result_topics(
                rd_kafka_event_DeleteTopics_result(event), &count)
            try check(results, count, "delete the topic", ignoring: missingIsFine ? .unknownTopic : nil)
        }
    }

    /// The number of partitions of each topic that exists, of all topics when `names` is nil.
    ///
    /// Topics without a leader for a partition are counted too; internal ones (`__…`) are left out of "all".
    package func partitionCounts(
        of names: [String]? = nil, timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> [String: Int] {
        guard let names else { return try metadata(topic: nil, timeout: timeout) }
        var counts: [String: Int] = [:]
        for name in names { counts.merge(try metadata(topic: name, timeout: timeout)) { $1 } }
        return counts
    }

    private func metadata(topic name: String?, timeout: Duration) throws(KafkaError) -> [String: Int] {
        let operation = name.map { "describe the topic \($0)" } ?? "list topics"
        let core = try core(for: operation)
        let topic = name.flatMap { rd_kafka_topic_new(core.client, $0, nil) }
        defer { if let topic { rd_kafka_topic_destroy(topic) } }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let result = rd_kafka_metadata(
            core.client, name == nil ? 1 : 0, topic, &metadata, timeout.milliseconds)
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else {
            throw core.error(result, operation: operation)
        }
        defer { rd_kafka_metadata_destroy(metadata) }
        var counts: [String: Int] = [:]
        for index in 0..<Int(metadata.pointee.topic_cnt) {
            let found = metadata.pointee.topics[index]
            let topicName = String(cString: found.topic)
            if name == nil, topicName.hasPrefix("__") { continue }
            switch KafkaError.Code(found.err) {
            case .unknownTopic: continue
            case _ where found.partition_cnt > 0 || found.err == RD_KAFKA_RESP_ERR_NO_ERROR:
                counts[topicName] = Int(found.partition_cnt)
            default: throw KafkaError(found.err, operation: "describe the topic \(topicName)")
            }
        }
        return counts
    }

    private func newTopic(_ topic: TopicSpecification) throws(KafkaError) -> OpaquePointer {
        var reason = [CChar](repeating: 0, count: 256)
        let made = rd_kafka_NewTopic_new(
            topic.name, Int32(clamping: topic.partitions), Int32(topic.replication ?? -1), &reason,
            reason.count)
        let operation = "create the topic \(topic.name)"
        guard let made else {
            throw KafkaError(.invalidState, operation: operation, detail: String(cStringBuffer: reason))
        }
        for (name, value) in topic.configuration {
            let result = rd_kafka_NewTopic_set_config(made, name, value)
            guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
                rd_kafka_NewTopic_destroy(made)
                throw KafkaError(result, operation: "\(operation) with \(name)")
            }
        }
        return made
    }

    private func check(
        _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ operation: String,
        ignoring ignored: KafkaError.Code?
    ) throws(KafkaError) {
        for index in 0..<count {
            guard let result = results?[index] else { continue }
            let code = rd_kafka_topic_result_error(result)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR || KafkaError.Code(code) == ignored { continue }
            let name = rd_kafka_topic_result_name(result).map { String(cString: $0) } ?? ""
            let words = rd_kafka_topic_result_error_string(result).map { String(cString: $0) }
            throw KafkaError(code, operation: "\(operation) \(name)", detail: words)
        }
    }
}
