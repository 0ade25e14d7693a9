import Foundation
import Workflow

/// Every metric that a rule or a scaler asks for is told by some program, and documented.
struct MetricRules {
    let manifests: Manifests

    func problems() throws -> [String] {
        let documented = try String(
            contentsOf: projectFolder.appending(path: "docs/observability.md"), encoding: .utf8)
        let told = try Self.told.get()
        return expressions.flatMap { place, expression in
            Self.metrics(in: expression).flatMap { metric in
                var problems: [String] = []
                if !told.contains(metric) { problems.append("\(place): no program tells \(metric)") }
                if !documented.contains(metric) {
                    problems.append("\(place): docs/observability.md does not know \(metric)")
                }
                return problems
            }
        }
    }

    private var expressions: [(place: String, expression: String)] {
        let rules = manifests.all("PrometheusRule").flatMap { object in
            (object["spec", "groups"]?.items ?? []).flatMap { $0["rules"]?.items ?? [] }.map { rule in
                (place: rule["alert"]?.string ?? object.title, expression: rule["expr"]?.string ?? "")
            }
        }
        let scalers = manifests.all("ScaledObject").flatMap { object in
            (object["spec", "triggers"]?.items ?? []).compactMap { trigger in
                trigger["metadata", "query"]?.string.map { (place: object.title, expression: $0) }
            }
        }
        return rules + scalers
    }

    /// Names of metrics in PromQL: what is no function, label or word of the language.
    static func metrics(in expression: String) -> [String] {
        let bare = expression.replacing(/\{[^}]*\}/, with: " ").replacing(/\[[^\]]*\]/, with: " ")
            .replacing(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/, with: " ")
        return bare.matches(of: /[A-Za-z_:][A-Za-z0-9_:]*(?<call>\s*\()?/)
            .filter { $0.output.call == nil }.map { String($0.output.0) }
            .filter { !["and", "or", "unless", "bool", "offset"].contains($0) }
    }

    private static let told = Result { try readTold() }

    /// Texts in the code that look like a metric's name.
    private static func readTold() throws -> Set<String> {
        var names: Set<String> = []
        for text in try SourceText.files(in: "Sources") {
            for match in text.matches(of: /"([a-z]+(?:_[a-z0-9]+)+)"/) {
                names.insert(String(match.output.1))
            }
        }
        return names
    }
}
