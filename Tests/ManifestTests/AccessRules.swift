import Foundation
import KubernetesBridge
import Workflow

/// Something that may be asked of an API server.
struct Right: Hashable, Comparable, CustomStringConvertible {
    var group: String
    var resource: String
    var verb: String

    var description: String { "\(verb) \(resource)\(group.isEmpty ? "" : ".\(group)")" }
    static func < (left: Right, right: Right) -> Bool { left.description < right.description }

    /// What the rules of a Role allow.
    static func granted(by role: JSONValue) -> Set<Right> {
        var rights: Set<Right> = []
        for rule in role["rules"]?.items ?? [] {
            for group in rule["apiGroups"]?.items ?? [] {
                for resource in rule["resources"]?.items ?? [] {
                    for verb in rule["verbs"]?.items ?? [] {
                        rights.insert(
                            Right(
                                group: group.string ?? "", resource: resource.string ?? "",
                                verb: verb.string ?? ""))
                    }
                }
            }
        }
        return rights
    }
}

/// The Role allows what the launcher's code asks for, and nothing else.
struct AccessRules {
    let manifests: Manifests

    func problems() throws -> [String] {
        guard let role = manifests.first("Role", "streamforge-queue-manager") else {
            return ["there is no Role streamforge-queue-manager"]
        }
        let granted = Right.granted(by: role)
        let (used, unknown) = try Self.used()
        var problems = unknown.sorted().map { "it is not known what client.\($0) asks for" }
        problems += used.subtracting(granted).sorted().map { "the Role does not allow: \($0)" }
        problems += granted.subtracting(used).sorted().map { "the Role allows what nobody asks for: \($0)" }
        for kind in ["ClusterRole", "ClusterRoleBinding"] where !manifests.all(kind).isEmpty {
            problems.append("there is a \(kind): the queue-manager needs nothing outside its namespace")
        }
        return problems
    }

    // MARK: The code

    private static let verbs = [
        "create": "create", "get": "get", "list": "list", "page": "list", "delete": "delete",
        "mergePatch": "patch", "apply": "patch",
    ]
    /// Methods that are about one kind only.
    private static let special = [
        "logTail": Right(group: "", resource: "pods/log", verb: "get"),
        "followLog": Right(group: "", resource: "pods/log", verb: "get"),
        "events": Right(group: "", resource: "events", verb: "list"),
    ]
    /// Methods that ask for nothing.
    private static let silent: Set<String> = ["close", "within"]

    /// What the launcher's calls of the client ask for, and the methods that are not known here.
    static func used() throws -> (rights: Set<Right>, unknown: Set<String>) { try calls.get() }

    private static let calls = Result { try readCalls() }

    private static func readCalls() throws -> (rights: Set<Right>, unknown: Set<String>) {
        var rights: Set<Right> = []
        var unknown: Set<String> = []
        for text in try SourceText.files(in: "Sources/JobLaunchers") {
            // Whoever is asked: a call of such a name with such a kind is one of the client's.
            for call in text.matches(of: /\.(\w+)\(\s*\.(\w+)/) {
                guard let verb = verbs[String(call.output.1)], let place = resource(String(call.output.2))
                else { continue }
                rights.insert(Right(group: place.group, resource: place.plural, verb: verb))
            }
            for call in text.matches(of: /\.(\w+)\(/) {
                if let right = special[String(call.output.1)] { rights.insert(right) }
            }
            for call in text.matches(of: /\b(?:client|quick)\.(\w+)\(/) {
                let method = String(call.output.1)
                if verbs[method] == nil, special[method] == nil, !silent.contains(method) {
                    unknown.insert(method)
                }
            }
            for reflector in text.matches(of: /\bReflector\(\s*\w+,\s*\.(\w+)/) {
                guard let (group, plural) = resource(String(reflector.output.1)) else {
                    unknown.insert(String(reflector.output.1))
                    continue
                }
                for verb in ["list", "watch"] {
                    rights.insert(Right(group: group, resource: plural, verb: verb))
                }
            }
        }
        return (rights, unknown)
    }

    private static func resource(_ kind: String) -> (group: String, plural: String)? {
        switch kind {
        case "jobs": parts(ResourceKind<JobObject>.jobs)
        case "pods": parts(ResourceKind<PodObject>.pods)
        case "events": parts(ResourceKind<EventObject>.events)
        case "configMaps": parts(ResourceKind<PlainObject>.configMaps)
        case "secrets": parts(ResourceKind<PlainObject>.secrets)
        default: nil
        }
    }

    private static func parts<Object>(_ kind: ResourceKind<Object>) -> (group: String, plural: String) {
        // `apis/batch/v1`, or `api/v1` for the core group.
        let path = kind.groupPath.split(separator: "/")
        return (path.count == 3 ? String(path[1]) : "", kind.plural)
    }
}

/// Our own code as text, for what only it says.
enum SourceText {
    static func files(in folder: String) throws -> [String] {
        let url = projectFolder.appending(path: folder)
        let all = FileManager.default.enumerator(at: url, includingPropertiesForKeys: nil)
        return try (all?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "swift" }
            .map { try String(contentsOf: $0, encoding: .utf8) }
    }
}
