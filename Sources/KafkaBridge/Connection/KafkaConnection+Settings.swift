import ServiceRuntime

extension KafkaConnection {
    /// The connection the settings of ``KafkaSettings/group`` describe.
    ///
    /// - Parameter password: overrides the one read at the start, for a secret that was rotated since.
    package init(_ values: SettingValues, clientID: String, password: String? = nil) {
        self.init(
            values[KafkaSettings.bootstrapServers], security: Security(values, password: password),
            clientID: clientID)
        rereadsAborted = values[KafkaSettings.rereadsAborted]
    }
}

extension KafkaConnection.Security {
    /// How the settings say to speak to the brokers.
    package init(_ values: SettingValues, password: String? = nil) {
        let mechanism: KafkaConnection.Mechanism =
            switch values[KafkaSettings.saslMechanism] {
            case .plain: .plain
            case .scramSHA256: .scramSHA256
            case .scramSHA512: .scramSHA512
            }
        let credentials = KafkaConnection.Credentials(
            user: values[KafkaSettings.user] ?? "",
            password: password ?? values[KafkaSettings.password] ?? "", mechanism: mechanism)
        self =
            switch KafkaSettings.protocolInForce(values) {
            case .plaintext: .plaintext
            case .saslPlaintext: .saslPlaintext(credentials)
            case .saslSSL: .saslSSL(credentials, caFile: values[KafkaSettings.certificateAuthorityPath])
            }
    }
}
