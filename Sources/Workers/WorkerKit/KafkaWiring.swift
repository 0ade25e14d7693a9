import KafkaBridge
import Logging
import ServiceRuntime

extension KafkaConnection {
    /// The connection the settings of ``KafkaSettings/group`` describe.
    ///
    /// - Parameters:
    ///   - password: overrides the one read at the start, for a secret that was rotated since.
    package init(_ values: SettingValues, clientID: String, password: String? = nil) {
        let mechanism: Mechanism =
            switch values[KafkaSettings.saslMechanism] {
            case .plain: .plain
            case .scramSHA256: .scramSHA256
            case .scramSHA512: .scramSHA512
            }
        let credentials = Credentials(
            user: values[KafkaSettings.user] ?? "",
            password: password ?? values[KafkaSettings.password] ?? "", mechanism: mechanism)
        let security: Security =
            switch KafkaSettings.protocolInForce(values) {
            case .plaintext: .plaintext
            case .saslPlaintext: .saslPlaintext(credentials)
            case .saslSSL:
                .saslSSL(credentials, caFile: values[KafkaSettings.certificateAuthorityPath])
            }
        self.init(values[KafkaSettings.bootstrapServers], security: security, clientID: clientID)
    }
}
