import Foundation

/// The part of librdkafka's statistics that tells how a client is doing. Totals count from the client's
/// start.
package struct KafkaStatistics: Sendable, Equatable {
    /// A consumer's, else a producer's.
    package var isConsumer: Bool
    /// Records and bytes handed over that are not acknowledged yet.
    package var queuedRecords: Int
    package var queuedBytes: Int
    package var sentRecords: Int
    package var sentBytes: Int
    package var receivedRecords: Int
    package var receivedBytes: Int
    /// The slowest broker's mean round trip of the last interval.
    package var roundTrip: Duration
    /// Records between the position and the end of each partition that is read.
    package var lag: [TopicPartition: Int]
}

extension KafkaStatistics {
    /// Reads librdkafka's statistics document (STATISTICS.md of librdkafka); nil when it is not one.
    init?(json: Data) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let document = try? decoder.decode(Document.self, from: json) else { return nil }
        isConsumer = document.type == "consumer"
        queuedRecords = document.msgCnt ?? 0
        queuedBytes = document.msgSize ?? 0
        sentRecords = document.txmsgs ?? 0
        sentBytes = document.txmsgBytes ?? 0
        receivedRecords = document.rxmsgs ?? 0
        receivedBytes = document.rxmsgBytes ?? 0
        let slowest = document.brokers?.values.compactMap(\.rtt?.avg).max() ?? 0
        roundTrip = .microseconds(slowest)
        lag = [:]
        for topic in (document.topics ?? [:]).values {
            for partition in topic.partitions.values where partition.partition >= 0 {
                guard let records = partition.lag else { continue }
                lag[TopicPartition(topic.topic, partition.partition)] = records
            }
        }
    }

    // The names are librdkafka's, in camel case.
    private struct Document: Decodable {
        var type: String
        var msgCnt: Int?
        var msgSize: Int?
        var txmsgs: Int?
        var txmsgBytes: Int?
        var rxmsgs: Int?
        var rxmsgBytes: Int?
        var brokers: [String: Broker]?
        var topics: [String: Topic]?
    }

    private struct Broker: Decodable {
        struct Window: Decodable { var avg: Int }
        var rtt: Window?
    }

    private struct Topic: Decodable {
        struct Partition: Decodable {
            var partition: Int32
            /// Offset after the last record given to us; negative: none yet.
            var appOffset: Int?
            /// The end that was told to us last; negative: none yet.
            var eofOffset: Int?
            /// Where the next fetch begins; negative: not known yet.
            var nextOffset: Int?
            /// The end for a reader of committed records; negative: not known yet.
            var lsOffset: Int?

            /// librdkafka's own lag is that of commits, which readers by assignment do not make. At the end it is
            /// 0, though markers of transactions lie between the last record and the end. After a seek what was
            /// given last is not known until the next record: then what was fetched counts.
            var lag: Int? {
                guard let lsOffset, lsOffset >= 0 else { return nil }
                if let eofOffset, eofOffset >= lsOffset { return 0 }
                let position = [appOffset, nextOffset].compactMap(\.self).first { $0 >= 0 }
                return position.map { max(0, lsOffset - $0) }
            }
        }
        var topic: String
        var partitions: [String: Partition]
    }
}
