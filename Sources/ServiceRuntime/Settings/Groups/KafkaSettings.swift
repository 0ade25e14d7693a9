/// How to reach Kafka.
package enum KafkaSettings {
    package enum SecurityProtocol: String, Sendable, CaseIterable {
        case plaintext = "PLAINTEXT"
        case saslPlaintext = "SASL_PLAINTEXT"
        case saslSSL = "SASL_SSL"
    }

    package enum SASLMechanism: String, Sendable, CaseIterable {
        case plain = "PLAIN"
        case scramSHA256 = "SCRAM-SHA-256"
        case scramSHA512 = "SCRAM-SHA-512"
    }

    package static let bootstrapServers = Setting.text(
        "KAFKA_BOOTSTRAP_SERVERS", example: "127.0.0.1:9092",
        doc: "Brokers to begin with, `host:port`, commas between.")
    package static let securityProtocol = Setting<SecurityProtocol>.choice(
        "KAFKA_SECURITY_PROTOCOL", example: "SASL_SSL",
        doc: "How to speak to the brokers. Not set: `SASL_SSL` when `KAFKA_USER` is set, else `PLAINTEXT`."
    ).optional()
    package static let saslMechanism = Setting<SASLMechanism>.choice(
        "KAFKA_SASL_MECHANISM", example: "SCRAM-SHA-512", doc: "How to log in to the brokers."
    ).fallback("SCRAM-SHA-512")
    package static let user = Setting.text(
        "KAFKA_USER", example: "streamforge", doc: "User name for SASL."
    ).alias("KAFKA_USER_PRODUCER", "KAFKA_USER_CONSUMER").optional()
    package static let password = Setting.secret("KAFKA_PASSWORD", doc: "Password for SASL.")
        .alias("KAFKA_PASSWORD_PRODUCER", "KAFKA_PASSWORD_CONSUMER").optional()
    package static let certificateAuthorityPath = Setting.path(
        "CA_PATH", example: "/usr/local/share/ca-certificates/ca.crt",
        doc:
            "PEM file with the certificates that the brokers' own are checked against. Not set: the system's."
    ).alias("KAFKA_CA_PATH").optional()

    package static let rereadsAborted = Setting<Bool>.flag(
        "KAFKA_REREAD_ABORTED",
        doc: "For noida-db only, whose answers hide records that follow an aborted transaction; "
            + "`streamforge up` sets it.")

    package static let group = SettingsGroup(
        "Kafka connection",
        [
            bootstrapServers, securityProtocol, saslMechanism, user, password, certificateAuthorityPath,
            rereadsAborted,
        ])

    /// The protocol in force: as set, else by whether there is a user.
    package static func protocolInForce(_ values: SettingValues) -> SecurityProtocol {
        values[securityProtocol] ?? (values[user] == nil ? .plaintext : .saslSSL)
    }

    /// What no single setting shows.
    ///
    /// - Throws: ``SettingsError`` when SASL is on and user or password is missing.
    package static func check(_ values: SettingValues) throws(SettingsError) {
        let chosen = protocolInForce(values)
        guard chosen == .saslSSL || chosen == .saslPlaintext else { return }
        var problems: [SettingProblem] = []
        let reason = "is not set and the protocol is \(chosen.rawValue)"
        if values[user] == nil { problems.append(SettingProblem(user, reason: reason)) }
        if values[password] == nil { problems.append(SettingProblem(password, reason: reason)) }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
    }
}

/// The topics commands and events go through.
package enum TopicSettings {
    package static let control = Setting.text(
        "QUEUE_CONTROL_TOPIC", example: "queue-control", doc: "Topic of commands to workers."
    ).fallback("queue-control")
    package static let events = Setting.text(
        "QUEUE_EVENTS_TOPIC", example: "queue-events", doc: "Topic of the workers' telemetry and results."
    ).fallback("queue-events")

    package static let group = SettingsGroup("Control topics", [control, events])
}
