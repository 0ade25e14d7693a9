internal import CRdkafka

/// Carries out what the group decided, in the way of its protocol: all partitions at once, or only the
/// change.
enum RebalanceAct {
    static func assign(_ list: borrowing PartitionList, _ core: ClientCore) throws(KafkaError) {
        if isCooperative(core) {
            let error = list.withPointer { rd_kafka_incremental_assign(core.client, $0) }
            if let error = KafkaError(taking: error, operation: "take partitions") { throw error }
        } else {
            let result = list.withPointer { rd_kafka_assign(core.client, $0) }
            guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw core.error(result, operation: "take partitions")
            }
        }
    }

    static func unassign(_ list: borrowing PartitionList, _ core: ClientCore) throws(KafkaError) {
        if isCooperative(core) {
            let error = list.withPointer { rd_kafka_incremental_unassign(core.client, $0) }
            if let error = KafkaError(taking: error, operation: "give partitions up") { throw error }
        } else {
            let result = rd_kafka_assign(core.client, nil)
            guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw core.error(result, operation: "give partitions up")
            }
        }
    }

    private static func isCooperative(_ core: ClientCore) -> Bool {
        guard let name = rd_kafka_rebalance_protocol(core.client) else { return false }
        return String(cString: name) == "COOPERATIVE"
    }
}

extension ClientCallbacks {
    static func installRebalance(in configuration: OpaquePointer) {
        rd_kafka_conf_set_rebalance_cb(configuration) { client, code, partitions, context in
            guard let client, let context, let partitions else { return }
            let callbacks = CallbackContext.borrow(context, as: ClientCallbacks.self)
            callbacks.rebalanced(client, code, partitions)
        }
    }

    /// Called inside a poll or inside the close, on the consumer's own thread.
    private func rebalanced(
        _ client: OpaquePointer, _ code: rd_kafka_resp_err_t,
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    ) {
        let partitions = PartitionList.entries(of: UnsafePointer(list)).map(\.partition)
        let rebalance: KafkaRebalance =
            switch code {
            case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS: .assigned(partitions)
            case _ where rd_kafka_assignment_lost(client) != 0: .lost(partitions)
            default: .revoked(partitions)
            }
        guard rebalances.isClosing else { return rebalances.add(rebalance) }
        observe(.rebalanced(rebalance))
        guard let core = attachedCore else { return }
        // Not here: librdkafka 2.0.2 never answers what it was asked just before the group's end (its issue
        // 4884), and the close must not wait for that. Such an answer keeps its thread for good.
        rebalances.answers.async { [observe] in
            guard rd_kafka_consumer_closed(core.client) == 0 else { return }
            do throws(KafkaError) {
                try RebalanceAct.unassign(PartitionList(partitions), core)
            } catch {
                observe(.clientFailed(error))
            }
        }
    }
}
