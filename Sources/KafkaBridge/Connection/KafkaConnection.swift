/// Where the broker is and who we are to it. Prints nothing secret.
package struct KafkaConnection: Sendable, Equatable {
    /// `host:port`, several with commas.
    package var bootstrapServers: String
    package var security: Security
    /// Shown in the broker's logs and quotas.
    package var clientID: String
    /// librdkafka settings that win over everything we choose; their values are never printed.
    package var overrides: [String: String]
    /// Whether the broker lists aborted transactions that ended long before (noida-db does, Kafka does not);
    /// readers of committed records then read a partition again where records may have been lost to that.
    package var rereadsAborted = false

    package enum Security: Sendable, Equatable {
        case plaintext
        /// User and password over an unencrypted connection.
        case saslPlaintext(Credentials)
        /// User and password over TLS; `caFile` in PEM form, nil trusts the system's authorities.
        case saslSSL(Credentials, caFile: String?)
    }

    package struct Credentials: Sendable, Equatable {
        package var user: String
        package var password: String
        package var mechanism: Mechanism

        package init(user: String, password: String, mechanism: Mechanism = .scramSHA512) {
            self.user = user
            self.password = password
            self.mechanism = mechanism
        }
    }

    package enum Mechanism: String, Sendable, CaseIterable {
        case plain = "PLAIN"
        case scramSHA256 = "SCRAM-SHA-256"
        case scramSHA512 = "SCRAM-SHA-512"
    }

    package init(
        _ bootstrapServers: String, security: Security = .plaintext, clientID: String = "streamforge",
        overrides: [String: String] = [:]
    ) {
        self.bootstrapServers = bootstrapServers
        self.security = security
        self.clientID = clientID
        self.overrides = overrides
    }
}

extension KafkaConnection: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String {
        let names = overrides.keys.sorted().joined(separator: ",")
        return "\(bootstrapServers) as \(clientID), \(security)"
            + (names.isEmpty ? "" : ", overrides \(names)")
    }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["connection": description]) }
}

extension KafkaConnection.Security: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String {
        switch self {
        case .plaintext: "PLAINTEXT"
        case .saslPlaintext(let credentials): "SASL_PLAINTEXT \(credentials)"
        case .saslSSL(let credentials, let caFile): "SASL_SSL \(credentials), CA \(caFile ?? "of the system")"
        }
    }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["security": description]) }
}

extension KafkaConnection.Credentials: CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    package var description: String { "\(mechanism.rawValue) user \(user), password hidden" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["credentials": description]) }
}
