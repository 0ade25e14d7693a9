import Foundation
import KubernetesBridge
import Testing

struct KubeconfigTests {
    private static let yaml = """
        apiVersion: v1
        kind: Config
        clusters:
        - name: here
          cluster:
            server: https://127.0.0.1:6443/
            certificate-authority-data: Y2E=
        - {name: there, cluster: {server: "http://127.0.0.1:8001"}}
        users:
        - name: anna
          user: {token: secret}
        - name: certified
          user:
            client-certificate-data: Y2VydA==
            client-key-data: a2V5
        - name: both
          user: {token: secret, client-certificate-data: Y2VydA==, client-key-data: a2V5}
        - name: half
          user: {client-key-data: a2V5}
        - name: cloud
          user:
            exec: {apiVersion: client.authentication.k8s.io/v1, command: gke-gcloud-auth-plugin}
        contexts:
        - {name: main, context: {cluster: here, user: anna, namespace: stf}}
        - {name: certified, context: {cluster: here, user: certified}}
        - {name: both, context: {cluster: here, user: both}}
        - {name: half, context: {cluster: here, user: half}}
        - {name: cloud, context: {cluster: here, user: cloud}}
        - {name: plain, context: {cluster: there, user: ""}}
        - {name: lost, context: {cluster: nowhere, user: anna}}
        current-context: main
        """

    private func configuration(
        _ yaml: String = yaml, context: String? = nil
    ) throws -> KubernetesConfiguration {
        try Kubeconfig(yaml: yaml, directory: "/etc").configuration(context: context)
    }

    @Test func `gives the current context with its token and authority`() throws {
        let configuration = try configuration()
        #expect(configuration.server == "https://127.0.0.1:6443")
        #expect(configuration.namespace == "stf")
        #expect(configuration.certificateAuthorities == Array("ca".utf8))
        guard case .token("secret") = configuration.credential else {
            return #expect(Bool(false), "no token")
        }
    }

    @Test func `gives a client certificate, and the namespace default where none is said`() throws {
        let configuration = try configuration(context: "certified")
        #expect(configuration.namespace == "default")
        guard case .none = configuration.credential else { return #expect(Bool(false)) }
        let identity = try #require(configuration.identity)
        #expect(identity.certificatePEM == Array("cert".utf8))
        #expect(identity.keyPEM == Array("key".utf8))
    }

    @Test func `a token and a certificate both go along, as with kubectl`() throws {
        let configuration = try configuration(context: "both")
        guard case .token("secret") = configuration.credential else { return #expect(Bool(false)) }
        #expect(configuration.identity?.keyPEM == Array("key".utf8))
    }

    @Test func `takes a server without anybody's credentials`() throws {
        let configuration = try configuration(context: "plain")
        #expect(configuration.server == "http://127.0.0.1:8001")
        guard case .none = configuration.credential else { return #expect(Bool(false)) }
    }

    @Test func `is also read as JSON`() throws {
        let json = """
            {"clusters":[{"name":"c","cluster":{"server":"https://k8s.example"}}],
             "contexts":[{"name":"x","context":{"cluster":"c"}}],"current-context":"x"}
            """
        #expect(try configuration(json).server == "https://k8s.example")
    }

    @Test(arguments: [
        ("cloud", "exec plugin"), ("half", "belong together"), ("lost", "no cluster nowhere"),
        ("nobody", "no context nobody"),
    ])
    func `says what cannot be used`(context: String, words: String) {
        let error = #expect(throws: KubernetesError.self) { try configuration(context: context) }
        #expect(error?.code == .configuration)
        #expect(error?.detail.contains(words) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("insecure-skip-tls-verify: true", "insecure-skip-tls-verify"),
        ("tls-server-name: other", "tls-server-name"), ("proxy-url: http://p", "proxy-url"),
    ])
    func `refuses a cluster whose connection it could not keep safe`(line: String, words: String) {
        let yaml = Self.yaml.replacing(
            "certificate-authority-data: Y2E=", with: "certificate-authority-data: Y2E=\n    \(line)")
        let error = #expect(throws: KubernetesError.self) { try configuration(yaml) }
        #expect(error?.detail.contains(words) == true)
    }

    @Test(arguments: ["tls-server-name", "proxy-url"])
    func `an empty setting is none`(name: String) throws {
        let yaml = Self.yaml.replacing(
            "certificate-authority-data: Y2E=", with: "certificate-authority-data: Y2E=\n    \(name): \"\"")
        #expect(try configuration(yaml).server == "https://127.0.0.1:6443")
    }

    @Test func `does not quote a file that cannot be read: it holds secrets`() {
        for text in ["users: [{name: a, user: {token: [geheim]}}]", "token: geheim\n\t- :"] {
            let error = #expect(throws: KubernetesError.self) { try configuration(text) }
            #expect(error?.description.contains("geheim") == false)
        }
    }

    @Test func `paths are relative to their own file, and the first file's names win`() throws {
        try withFolder { folder in
            let other = "\(folder)/other"
            try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
            try write("ca of the second", "\(other)/ca.pem")
            try write(
                """
                current-context: main
                contexts: [{name: main, context: {cluster: second, user: anna}}]
                users: [{name: anna, user: {token: first}}]
                """, "\(folder)/config")
            try write(
                """
                current-context: ignored
                clusters: [{name: second, cluster: {server: "https://b", certificate-authority: ca.pem}}]
                users: [{name: anna, user: {token: second}}]
                """, "\(other)/config")
            let configuration = try Kubeconfig.read("\(folder)/config:\(other)/config")
            #expect(configuration.certificateAuthorities == Array("ca of the second".utf8))
            guard case .token("first") = configuration.credential else { return #expect(Bool(false)) }
        }
    }

    @Test func `files of a list that are not there, and an empty current-context, are passed over`() throws {
        try withFolder { folder in
            try write("current-context: \"\"\nclusters: []\n", "\(folder)/empty")
            try write(Self.yaml, "\(folder)/config")
            let configuration = try Kubeconfig.read(
                "\(folder)/nobody:\(folder)/empty::\(folder)/config")
            #expect(configuration.server == "https://127.0.0.1:6443")
            let error = #expect(throws: KubernetesError.self) {
                try Kubeconfig.read("\(folder)/nobody:\(folder)/neither")
            }
            #expect(error?.detail.contains("\(folder)/nobody cannot be read") == true)
        }
    }

    @Test func `a token file is read again when it changes, and kept while it is away`() throws {
        try withFolder { folder in
            let path = "\(folder)/token"
            try write("one\n", path)
            let file = TokenFile(path)
            #expect(try file.current() == "one")
            try write("another", path)
            #expect(try file.current() == "another")
            try FileManager.default.removeItem(atPath: path)
            #expect(try file.current() == "another")
        }
        #expect(throws: KubernetesError.self) { try TokenFile("/nonexistent/token").current() }
    }

    @Test func `a pod's own account comes from its files and environment`() throws {
        try withFolder { folder in
            try write("t\n", "\(folder)/token")
            try write("ca", "\(folder)/ca.crt")
            try write("stf", "\(folder)/namespace")
            let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
            let configuration = try KubernetesConfiguration.inCluster(
                environment: environment, directory: folder)
            #expect(configuration.server == "https://[fd00::1]:443")
            #expect(configuration.namespace == "stf")
        }
        let error = #expect(throws: KubernetesError.self) {
            try KubernetesConfiguration.inCluster(environment: [:])
        }
        #expect(error?.detail.contains("KUBECONFIG") == true)
    }
}

func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kube-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
}

func write(_ text: String, _ path: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
}
