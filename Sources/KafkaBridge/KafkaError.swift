internal import CRdkafka

/// What went wrong between us and the broker, in librdkafka's own words plus what it means for the caller.
package struct KafkaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The outcomes a caller acts on; everything else is `other` and told apart by ``KafkaError/name``.
    package enum Code: String, Sendable, CaseIterable {
        /// No answer within the time limit.
        case timedOut
        /// The broker cannot be reached, or the connection broke.
        case unreachable
        /// The user or password was refused, or the server's certificate was not trusted (with librdkafka before 2.2
        /// the latter is `unreachable`: there it cannot be told from a connection that ended).
        case unauthenticated
        /// The user may not do this.
        case unauthorized
        /// A setting was refused by librdkafka.
        case invalidSetting
        /// The arguments of the call or the order of calls were wrong.
        case invalidState
        case unknownTopic
        case topicExists
        case recordTooLarge
        /// The position is no longer, or not yet, in the partition.
        case offsetOutOfRange
        /// A newer producer with the same transactional id, or a newer group member of the same instance id,
        /// took over.
        case fenced
        /// The member is no longer part of the group's present generation: its partitions belong to others.
        case rebalanced
        /// The record was taken back: its transaction was aborted, or the producer was closed first.
        case withdrawn
        /// The waiting task was cancelled.
        case cancelled
        /// The client was closed.
        case closed
        case other
    }

    package var code: Code
    /// librdkafka's name of the error, e.g. `_TIMED_OUT` (local) or `NOT_LEADER_FOR_PARTITION` (broker).
    package var name: String
    /// What we were doing, e.g. `commit transaction`.
    package var operation: String
    package var detail: String
    /// The client is of no more use; only ``KafkaProducer/close(timeout:)`` is left.
    package var isFatal: Bool
    /// The same call may succeed when it is made again.
    package var isRetriable: Bool
    /// The transaction has to be aborted, then it may be done again.
    package var requiresAbort: Bool

    package var isFenced: Bool { code == .fenced }

    /// Another producer has to take this one's place. Beside what librdkafka calls fatal: the broker no longer
    /// counts a producer's records as the producer does (e.g. it has lost some), and librdkafka's way out, the same
    /// producer with its next epoch, is refused for good by brokers that do not count anew then (noida-db).
    package var leavesProducerUseless: Bool {
        isFatal || ["OUT_OF_ORDER_SEQUENCE_NUMBER", "UNKNOWN_PRODUCER_ID"].contains(name)
    }

    package init(
        _ code: Code, operation: String, detail: String, name: String = "", isRetriable: Bool = false
    ) {
        self.code = code
        self.name = name
        self.operation = operation
        self.detail = detail
        self.isFatal = false
        self.isRetriable = isRetriable
        self.requiresAbort = false
    }

    package var description: String {
        let marks = [
            (isFatal, "fatal"), (isRetriable, "retriable"), (requiresAbort, "abort the transaction"),
        ]
        let noted = marks.filter(\.0).map(\.1).joined(separator: ", ")
        let suffix = noted.isEmpty ? "" : " (\(noted))"
        return "Could not \(operation): \(detail) [\(name.isEmpty ? code.rawValue : name)]\(suffix)"
    }
}

extension KafkaError {
    init(_ raw: rd_kafka_resp_err_t, operation: String, detail: String? = nil) {
        let code = Code(raw)
        self.init(
            code, operation: operation, detail: detail ?? String(cString: rd_kafka_err2str(raw)),
            name: String(cString: rd_kafka_err2name(raw)), isRetriable: Code.retriable.contains(code))
        isFatal = raw == RD_KAFKA_RESP_ERR__FATAL || code == .fenced
        if Self.passing.contains(raw.rawValue) { isRetriable = true }
        let isLogin =
            raw == RD_KAFKA_RESP_ERR__AUTHENTICATION || raw == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED
        if isLogin, !KafkaLibrary.sendsNonceOnce {
            self.detail +=
                " (SCRAM with Kafka 4.0 or newer needs librdkafka 2.6.1 or newer; this is \(KafkaLibrary.version))"
        }
    }

    /// Takes over an error object of the transactional and admin interfaces and frees it; nil is success.
    init?(taking error: OpaquePointer?, operation: String) {
        guard let error else { return nil }
        defer { rd_kafka_error_destroy(error) }
        self.init(
            rd_kafka_error_code(error), operation: operation,
            detail: String(cString: rd_kafka_error_string(error)))
        isFatal = isFatal || rd_kafka_error_is_fatal(error) != 0
        isRetriable = rd_kafka_error_is_retriable(error) != 0
        requiresAbort = rd_kafka_error_txn_requires_abort(error) != 0
    }

    /// Broker states that pass by themselves: elections, coordinators that load or move.
    private static let passing = Set(
        [
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
            RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
            RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
            RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__RETRY,
        ].map(\.rawValue))
}

extension KafkaError.Code {
    static let retriable: Set<Self> = [.timedOut, .unreachable]

    init(_ raw: rd_kafka_resp_err_t) {
        switch raw {
        case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
            self = .timedOut
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
            RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
            self = .unreachable
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
            self = .unauthenticated
        case RD_KAFKA_RESP_ERR__SSL: self = KafkaLibrary.tellsTLSErrors ? .unauthenticated : .unreachable
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            self = .unauthorized
        case RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR__STATE, RD_KAFKA_RESP_ERR__CONFLICT,
            RD_KAFKA_RESP_ERR_INVALID_REQUEST, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,
            RD_KAFKA_RESP_ERR__UNKNOWN_GROUP:
            self = .invalidState
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            self = .unknownTopic
        case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
            self = .topicExists
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            self = .recordTooLarge
        case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, RD_KAFKA_RESP_ERR__NO_OFFSET,
            RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
            self = .offsetOutOfRange
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
            self = .fenced
        case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
            RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED,
            RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
            self = .rebalanced
        case RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
            self = .withdrawn
        case RD_KAFKA_RESP_ERR__INTR:
            self = .cancelled
        case RD_KAFKA_RESP_ERR__DESTROY:
            self = .closed
        default:
            self = .other
        }
    }
}
