import HTTPBridge

/// Where the API server is and who we are to it.
package struct KubernetesConfiguration: Sendable {
    package enum Credential: Sendable {
        case none
        /// A secret.
        case token(String)
        /// Read again when it changes: the cluster replaces it about once an hour.
        case tokenFile(TokenFile)
    }

    /// Absolute, `https` (or `http` for `kubectl proxy`), without `/` at its end.
    package var server: String
    /// PEM; nil: the system's.
    package var certificateAuthorities: [UInt8]?
    package var credential: Credential
    /// A client certificate. Beside a token it goes along, as kubectl sends both; API servers look at it first.
    package var identity: TLSIdentity?
    package var namespace: String

    package init(
        server: String, certificateAuthorities: [UInt8]?, credential: Credential,
        identity: TLSIdentity? = nil, namespace: String
    ) {
        self.server = server
        self.certificateAuthorities = certificateAuthorities
        self.credential = credential
        self.identity = identity
        self.namespace = namespace
    }

    /// Where a pod finds its own account.
    package static let accountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// As a pod sees it: address from its environment, token, authority and namespace from files.
    ///
    /// - Throws: ``KubernetesError`` `configuration` when this is no pod, or a file cannot be read.
    package static func inCluster(
        environment: [String: String], directory: String = accountDirectory
    ) throws(KubernetesError) -> Self {
        let operation = "read the service account"
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else {
            throw KubernetesError(
                .configuration, operation: operation,
                detail: "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: outside a cluster "
                    + "KUBECONFIG names the file to use")
        }
        let token = TokenFile("\(directory)/token")
        _ = try token.current()
        let namespace = try SmallFile.text("\(directory)/namespace", operation: operation)
        // An IPv6 address needs brackets.
        let address = host.contains(":") ? "[\(host)]" : host
        return Self(
            server: "https://\(address):\(port)",
            certificateAuthorities: try SmallFile.bytes("\(directory)/ca.crt", operation: operation),
            credential: .tokenFile(token), namespace: namespace)
    }
}
