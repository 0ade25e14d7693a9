import FoundationEssentials
import Glibc
import HTTPBridge
import Yams

/// A kubeconfig file, YAML or JSON, as far as it is supported.
package struct Kubeconfig: Decodable, Sendable {
    struct Named<Value: Decodable & Sendable>: Decodable, Sendable {
        var name: String
        var value: Value

        private struct Key: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { return nil }
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            name = try container.decode(String.self, forKey: Key(stringValue: "name"))
            // `cluster`, `user` or `context`: the only other member.
            let other = container.allKeys.first { $0.stringValue != "name" }
            value = try container.decode(Value.self, forKey: other ?? Key(stringValue: "value"))
        }
    }

    struct Cluster: Decodable, Sendable {
        var server: String
        var authorityPath: String?
        var authorityData: String?
        var skipsVerification: Bool?
        var serverName: String?
        var proxy: String?

        private enum CodingKeys: String, CodingKey {
            case server
            case authorityPath = "certificate-authority"
            case authorityData = "certificate-authority-data"
            case skipsVerification = "insecure-skip-tls-verify"
            case serverName = "tls-server-name"
            case proxy = "proxy-url"
        }
    }

    struct User: Decodable, Sendable {
        struct Anything: Decodable, Sendable {
            init(from decoder: any Decoder) throws {}
        }

        var token: String?
        var tokenPath: String?
        var certificatePath: String?
        var certificateData: String?
        var keyPath: String?
        var keyData: String?
        var username: String?
        var plugin: Anything?
        var provider: Anything?

        private enum CodingKeys: String, CodingKey {
            case token, username
            case tokenPath = "tokenFile"
            case certificatePath = "client-certificate"
            case certificateData = "client-certificate-data"
            case keyPath = "client-key"
            case keyData = "client-key-data"
            case plugin = "exec"
            case provider = "auth-provider"
        }
    }

    struct Context: Decodable, Sendable {
        var cluster: String
        var user: String?
        var namespace: String?
    }

    var clusters: [Named<Cluster>]
    var users: [Named<User>]
    var contexts: [Named<Context>]
    var currentContext: String?

    private enum CodingKeys: String, CodingKey {
        case clusters, users, contexts
        case currentContext = "current-context"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        clusters = try container.decodeIfPresent([Named<Cluster>].self, forKey: .clusters) ?? []
        users = try container.decodeIfPresent([Named<User>].self, forKey: .users) ?? []
        contexts = try container.decodeIfPresent([Named<Context>].self, forKey: .contexts) ?? []
        currentContext = try container.decodeIfPresent(String.self, forKey: .currentContext)
    }

    private static let operation = "read the kubeconfig"

    /// - Parameter directory: what relative paths in it are relative to: the file's own folder.
    /// - Throws: ``KubernetesError`` `configuration`; never quotes the text, which holds secrets.
    package init(yaml: String, directory: String) throws(KubernetesError) {
        do {
            self = try YAMLDecoder().decode(Kubeconfig.self, from: yaml)
        } catch let error as DecodingError {
            throw Self.problem("it is not written as expected: \(Self.place(of: error))")
        } catch {
            throw Self.problem("it is neither YAML nor JSON")
        }
        for index in clusters.indices { Self.resolve(&clusters[index].value.authorityPath, directory) }
        for index in users.indices {
            Self.resolve(&users[index].value.tokenPath, directory)
            Self.resolve(&users[index].value.certificatePath, directory)
            Self.resolve(&users[index].value.keyPath, directory)
        }
    }

    /// The current context's configuration.
    ///
    /// - Parameter context: another context than the current one.
    /// - Throws: ``KubernetesError`` `configuration`: something is missing, or not supported.
    package func configuration(context: String? = nil) throws(KubernetesError) -> KubernetesConfiguration {
        guard let name = context ?? currentContext, !name.isEmpty else {
            throw Self.problem("it has no current-context")
        }
        guard let context = contexts.first(where: { $0.name == name })?.value else {
            throw Self.problem("it has no context \(name)")
        }
        guard let cluster = clusters.first(where: { $0.name == context.cluster })?.value else {
            throw Self.problem("it has no cluster \(context.cluster)")
        }
        var user: User?
        if let wanted = context.user, !wanted.isEmpty {
            guard let found = users.first(where: { $0.name == wanted })?.value else {
                throw Self.problem("it has no user \(wanted)")
            }
            user = found
        }
        try Self.check(cluster, user)
        return KubernetesConfiguration(
            server: String(cluster.server.reversed().drop { $0 == "/" }.reversed()),
            certificateAuthorities: try Self.bytes(
                data: cluster.authorityData, path: cluster.authorityPath, "certificate-authority"),
            credential: user.map(Self.credential) ?? .none,
            identity: try user.flatMap { user throws(KubernetesError) in try Self.identity(user) },
            namespace: context.namespace.flatMap { $0.isEmpty ? nil : $0 } ?? "default")
    }

    /// Reads the files that `KUBECONFIG` names, colons between; in each list the first entry of a name counts, and
    /// files that are not there are passed over, as kubectl does.
    package static func read(
        _ paths: String, context: String? = nil
    ) throws(KubernetesError) -> KubernetesConfiguration {
        var all: Kubeconfig?
        let paths = paths.split(separator: ":").map(String.init)
        let there = paths.filter { access($0, F_OK) == 0 || errno != ENOENT }
        // When none is there the first says so.
        for path in there.isEmpty ? Array(paths.prefix(1)) : there {
            let bytes = try SmallFile.bytes(path, operation: operation)
            let next = try Kubeconfig(
                yaml: String(decoding: bytes, as: UTF8.self), directory: folder(of: path))
            guard var merged = all else {
                all = next
                continue
            }
            merged.clusters += next.clusters
            merged.users += next.users
            merged.contexts += next.contexts
            if (merged.currentContext ?? "").isEmpty { merged.currentContext = next.currentContext }
            all = merged
        }
        guard let all else { throw problem("KUBECONFIG names no file") }
        return try all.configuration(context: context)
    }

    // MARK: Parts

    private static func check(_ cluster: Cluster, _ user: User?) throws(KubernetesError) {
        guard cluster.server.hasPrefix("https://") || cluster.server.hasPrefix("http://") else {
            throw problem("the cluster's server is no URL that begins with https://")
        }
        if cluster.skipsVerification == true {
            throw problem("insecure-skip-tls-verify is not supported: give certificate-authority-data")
        }
        if isSet(cluster.serverName) { throw problem("tls-server-name is not supported") }
        if isSet(cluster.proxy) { throw problem("proxy-url is not supported: set HTTPS_PROXY") }
        if user?.plugin != nil {
            throw problem(
                "credentials of an exec plugin are not supported: use a token, a client certificate, or a "
                    + "service account (kubectl create token)")
        }
        if user?.provider != nil { throw problem("auth-provider is not supported: use a token") }
        if isSet(user?.username) {
            throw problem("username and password are not supported: use a token")
        }
    }

    /// An empty value is none.
    private static func isSet(_ value: String?) -> Bool { value?.isEmpty == false }

    private static func credential(_ user: User) -> KubernetesConfiguration.Credential {
        // kubectl too takes the file where both are given.
        if let path = user.tokenPath, !path.isEmpty { return .tokenFile(TokenFile(path)) }
        if let token = user.token, !token.isEmpty { return .token(token) }
        return .none
    }

    private static func identity(_ user: User) throws(KubernetesError) -> TLSIdentity? {
        let certificate = try bytes(
            data: user.certificateData, path: user.certificatePath, "client-certificate")
        let key = try bytes(data: user.keyData, path: user.keyPath, "client-key")
        switch (certificate, key) {
        case (nil, nil): return nil
        case (let certificate?, let key?):
            return TLSIdentity(certificatePEM: certificate, keyPEM: key)
        default: throw problem("client-certificate and client-key belong together")
        }
    }

    private static func bytes(
        data: String?, path: String?, _ name: String
    ) throws(KubernetesError) -> [UInt8]? {
        if let data, !data.isEmpty {
            guard let bytes = Data(base64Encoded: data, options: .ignoreUnknownCharacters) else {
                throw problem("\(name)-data is not base64")
            }
            return Array(bytes)
        }
        guard let path, !path.isEmpty else { return nil }
        return try SmallFile.bytes(path, operation: operation)
    }

    private static func resolve(_ path: inout String?, _ directory: String) {
        guard let given = path, !given.isEmpty, !given.hasPrefix("/"), !directory.isEmpty else { return }
        path = "\(directory)/\(given)"
    }

    /// Empty for a file of the working folder.
    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func problem(_ detail: String) -> KubernetesError {
        KubernetesError(.configuration, operation: operation, detail: detail)
    }

    private static func place(of error: DecodingError) -> String {
        let (context, missing): (DecodingError.Context, String?) =
            switch error {
            case .keyNotFound(let key, let context): (context, key.stringValue)
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                (context, nil)
            @unknown default: (DecodingError.Context(codingPath: [], debugDescription: ""), nil)
            }
        let path = (context.codingPath.map(\.stringValue) + (missing.map { [$0] } ?? [])).joined(
            separator: ".")
        return path.isEmpty ? "its beginning" : path
    }
}
