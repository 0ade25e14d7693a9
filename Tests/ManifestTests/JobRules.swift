import GraphBuilder
import QueueManager
import ServiceRuntime
import WorkerKit
import Workflow

/// What the queue-manager is told about Jobs by target: each gets an image that has its program, and the memory that it is
/// told it may use.
struct JobRules {
    /// What a setting of the queue-manager is, be it by default.
    let told: (any AnySetting) -> String?
    /// The ConfigMap of workers.
    let map: [String: String]

    /// Memory that a graph may take; the table of its worker has the default.
    private static let graphMemory = "GRAPH_MEMORY_MAX"

    func problems() -> [String] { images() + resources() }

    private func images() -> [String] {
        guard let common = told(KubernetesSettings.image) else { return [] }
        let text = told(KubernetesSettings.images) ?? ""
        let named: [Target: String]
        if text.isEmpty {
            named = [:]
        } else if let images = KubernetesSettings.images.parse(text).flatMap(\.self) {
            named = images
        } else {
            return ["K8S_IMAGES is \(text), expected \(KubernetesSettings.images.expects)"]
        }
        let (place, tag) = (Self.parts(common).place, Self.parts(common).tag)
        return Target.allCases.compactMap { target in
            let image = named[target] ?? common
            let wanted = "\(place)/\(target.program):\(tag)"
            return image == wanted ? nil : "the image of \(target.rawValue) is \(image), not \(wanted)"
        }
    }

    /// `registry.example/streamforge` and `unreleased` of `registry.example/streamforge/worker:unreleased`.
    private static func parts(_ image: String) -> (place: String, tag: String) {
        let folders = image.split(separator: "/")
        let tag = folders.last?.split(separator: ":").dropFirst().first.map(String.init) ?? ""
        return (folders.dropLast().joined(separator: "/"), tag)
    }

    private func resources() -> [String] {
        let name = KubernetesSettings.resources.name
        let text = told(KubernetesSettings.resources) ?? ""
        guard let resources = KubernetesSettings.resources.parse(text) else {
            return ["\(name) is \(text), expected \(KubernetesSettings.resources.expects)"]
        }
        let unknown = resources.keys.filter { $0 != "default" && Target(rawValue: $0) == nil }.sorted()
        var problems = unknown.map { "\(name): there is no target \($0)" }
        let builder = resources[Target.graphBuilder.rawValue] ?? resources["default"]
        let limit = builder?["limits", "memory"]?.string.flatMap(Self.mebibytes) ?? .max
        let setting = WorkerProgram.table(GraphBuilderWorker.kind).settings.first {
            $0.name == Self.graphMemory
        }
        let own = (map[Self.graphMemory] ?? setting?.defaultText).flatMap { Int($0) } ?? .max
        if own >= limit {
            problems.append("\(Self.graphMemory) is \(own) MiB, and a Job of graph-builder gets \(limit)")
        }
        return problems
    }

    /// Of `512Mi` or `4Gi`.
    private static func mebibytes(_ quantity: String) -> Int? {
        switch quantity.suffix(2) {
        case "Mi": Int(quantity.dropLast(2))
        case "Gi": Int(quantity.dropLast(2)).map { $0 * 1_024 }
        default: nil
        }
    }
}
