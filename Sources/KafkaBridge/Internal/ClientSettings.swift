internal import CRdkafka

/// librdkafka settings in the order they are applied; a later one of the same name wins.
struct ClientSettings {
    private var settings: [(name: String, value: String)] = []

    /// What every client of ours has in common.
    init(_ connection: KafkaConnection) {
        set("bootstrap.servers", connection.bootstrapServers)
        set("client.id", connection.clientID)
        // Small requests (events, commits) must not wait for the acknowledgement of an earlier packet.
        set("socket.nagle.disable", "true")
        set("socket.keepalive.enable", "true")
        set("reconnect.backoff.ms", "50")
        set("reconnect.backoff.max.ms", "2000")
        // A new topic's leader is known some milliseconds after its creation.
        set("topic.metadata.refresh.fast.interval.ms", "50")
        // A topic is created by us with its settings or not at all.
        set("allow.auto.create.topics", "false")
        set("log.connection.close", "false")
        set(connection.security)
    }

    mutating func set(_ name: String, _ value: String) { settings.append((name, value)) }

    mutating func set(_ name: String, milliseconds duration: Duration) {
        set(name, String(duration.milliseconds))
    }

    private mutating func set(_ security: KafkaConnection.Security) {
        switch security {
        case .plaintext:
            set("security.protocol", "plaintext")
        case .saslPlaintext(let credentials):
            set("security.protocol", "sasl_plaintext")
            set(credentials)
        case .saslSSL(let credentials, let caFile):
            set("security.protocol", "sasl_ssl")
            if let caFile { set("ssl.ca.location", caFile) }
            set(credentials)
        }
    }

    private mutating func set(_ credentials: KafkaConnection.Credentials) {
        set("sasl.mechanisms", credentials.mechanism.rawValue)
        set("sasl.username", credentials.user)
        set("sasl.password", credentials.password)
    }

    /// Makes librdkafka's configuration object; the caller owns it until `rd_kafka_new` takes it.
    func makeConfiguration(overrides: [String: String]) throws(KafkaError) -> OpaquePointer {
        guard let configuration = rd_kafka_conf_new() else { preconditionFailure("out of memory") }
        let overridden = overrides.sorted { $0.key < $1.key }
        for (name, value) in settings + overridden.map({ (name: $0.key, value: $0.value) }) {
            var reason = [CChar](repeating: 0, count: 256)
            guard rd_kafka_conf_set(configuration, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK
            else {
                rd_kafka_conf_destroy(configuration)
                // librdkafka's reason may quote the value, which may be a secret.
                let isSecret = name.contains("password") || name.contains("key") || name.contains("sasl")
                let detail = isSecret ? "its value was refused" : String(cStringBuffer: reason)
                throw KafkaError(.invalidSetting, operation: "apply the setting \(name)", detail: detail)
            }
        }
        return configuration
    }
}

extension String {
    /// The text up to the first zero byte.
    init(cStringBuffer buffer: [CChar]) {
        self = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension Duration {
    /// Whole milliseconds, rounded up so that a short wait does not become none; bounded to what C takes.
    var milliseconds: Int32 {
        let (seconds, attoseconds) = components
        let capped = min(max(seconds, 0), 2_000_000)
        let rest = max(attoseconds, 0)
        return Int32(capped * 1_000 + (rest + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
