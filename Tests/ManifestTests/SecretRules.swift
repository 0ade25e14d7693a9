import Foundation
import Workflow

/// Every Secret that somebody needs is one of those that docs/kubernetes.md tells to make.
struct SecretRules {
    let manifests: Manifests

    func problems() -> [String] {
        let page = projectFolder.appending(path: "docs/kubernetes.md")
        let text = (try? String(contentsOf: page, encoding: .utf8)) ?? ""
        return named.sorted().filter { !text.contains("`\($0)`") }
            .map { "docs/kubernetes.md does not tell to make the Secret \($0)" }
    }

    private var named: Set<String> {
        var names: Set<String> = []
        for object in manifests.objects { Self.collect(object, &names) }
        for map in manifests.all("ConfigMap") {
            for key in ["K8S_SECRET", "K8S_IMAGE_PULL_SECRET"] {
                if let name = map["data", key]?.string { names.insert(name) }
            }
        }
        return names
    }

    private static func collect(_ value: JSONValue, _ names: inout Set<String>) {
        switch value {
        case .array(let items): for item in items { collect(item, &names) }
        case .object(let members):
            for (key, member) in members {
                switch (key, member) {
                case ("secretKeyRef", _): if let name = member["name"]?.string { names.insert(name) }
                case ("secretTargetRef", .array(let items)):
                    names.formUnion(items.compactMap { $0["name"]?.string })
                case ("secretName", .string(let name)): names.insert(name)
                case ("secret", .string(let name)): names.insert(name)
                default: collect(member, &names)
                }
            }
        default: break
        }
    }
}
