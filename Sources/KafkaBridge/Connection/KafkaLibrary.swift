internal import CRdkafka

/// The librdkafka that this program runs with; what older ones do wrong is avoided where it matters.
package enum KafkaLibrary {
    /// E.g. `2.0.2`.
    package static var version: String { String(cString: rd_kafka_version_str()) }

    /// Whether a group may move single partitions (cooperative-sticky).
    ///
    /// Before 2.1 records may be skipped while others are moved (pull request 4208), before 2.3 the process may
    /// abort when it leaves while it joins (4381), before 2.4 leaving may hang (4528).
    package static var movesPartitionsSafely: Bool { isAtLeast(2, 4, 0) }

    /// Whether an error of TLS is one: before 2.2, with OpenSSL 3, a connection that just ended is told as one (4294).
    static var tellsTLSErrors: Bool { isAtLeast(2, 2, 0) }

    /// Whether brokers from Kafka 4.0 on take its SCRAM logins: before, it sends its nonce twice (4895).
    static var sendsNonceOnce: Bool { isAtLeast(2, 6, 1) }

    // `rd_kafka_version`: a byte each for major, minor and patch, and one for the candidate of a release.
    private static func isAtLeast(_ major: Int32, _ minor: Int32, _ patch: Int32) -> Bool {
        rd_kafka_version() >> 8 >= major << 16 | minor << 8 | patch
    }
}
