import Foundation
import Workflow
import Yams

/// The objects of an overlay, as `kubectl apply -k` would send them.
struct Manifests {
    let objects: [JSONValue]

    /// - Parameter yaml: documents with `---` between.
    init(yaml: String) throws {
        objects = try Yams.load_all(yaml: yaml).map(Self.json).filter { $0 != .null }
    }

    /// Made by kustomize from `k8s/<folder>`.
    static func yaml(of folder: String) async throws -> String {
        let temporary = try TemporaryFolder()
        defer { temporary.remove() }
        let output = temporary.path("all.yaml")
        try await Kubectl.run([
            "kustomize", projectFolder.appending(path: "k8s/\(folder)").path, "--output", output,
        ])
        return try String(contentsOfFile: output, encoding: .utf8)
    }

    func all(_ kind: String) -> [JSONValue] { objects.filter { $0.kind == kind } }

    func first(_ kind: String, _ name: String) -> JSONValue? { all(kind).first { $0.name == name } }

    /// Those with pods of ours in them.
    var workloads: [JSONValue] { objects.filter { $0["spec", "template", "spec"] != nil } }

    // MARK: YAML

    private static func json(_ value: Any) -> JSONValue {
        switch value {
        case let flag as Bool: .bool(flag)
        case let number as Int: .integer(Int64(number))
        case let number as Double: .number(number)
        case let text as String: .string(text)
        case let items as [Any]: .array(items.map(json))
        case let members as [AnyHashable: Any]:
            .object(
                Dictionary(
                    members.map { ("\($0.key)", json($0.value)) }, uniquingKeysWith: { first, _ in first }))
        default: .null
        }
    }
}

extension JSONValue {
    /// The value behind members of these names.
    subscript(path: String...) -> JSONValue? {
        path.reduce(Optional(self)) { value, name in value?.members?[name] }
    }

    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }

    /// Members that are texts.
    var texts: [String: String] { members?.compactMapValues(\.string) ?? [:] }

    // MARK: Objects

    var kind: String { self["kind"]?.string ?? "" }
    var name: String { self["metadata", "name"]?.string ?? self["name"]?.string ?? "" }
    var namespace: String { self["metadata", "namespace"]?.string ?? "" }
    /// For messages.
    var title: String { "\(kind) \(name)" }

    /// Of a workload.
    var podSpec: JSONValue? { self["spec", "template", "spec"] }
    var podLabels: [String: String] { self["spec", "template", "metadata", "labels"]?.texts ?? [:] }
    var containers: [JSONValue] { podSpec?["containers"]?.items ?? [] }

    /// Whether the labels have what a `matchLabels` asks for; an empty one takes all.
    func matches(_ labels: [String: String]) -> Bool {
        texts.allSatisfy { labels[$0.key] == $0.value }
    }
}
