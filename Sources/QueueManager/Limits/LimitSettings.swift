import ServiceRuntime
import Workflow

/// How many instances may run at the same time; every replica must be given the same.
package enum LimitSettings {
    package static let instancesMax = Setting<Int>.integer(
        "MAX_INSTANCES", in: 2...1_000_000, example: "64",
        doc:
            "Instances of all queues that run at the same time; a loader and its reader are two. The same on every "
            + "replica. Not set: no limit."
    ).optional()
    package static let instancesMaxByTarget = Setting<[String]>.list(
        "MAX_INSTANCES_PER_TARGET", example: "arango-connector=4,loader-api-candles=8",
        doc:
            "Instances of a target that run at the same time in all queues. The same on every replica. Not set: no "
            + "limit."
    ).typed(expects: "targets with numbers from 1, commas between: \(names)") { parse($0) }.optional()

    package static let group = SettingsGroup("Limits", [instancesMax, instancesMaxByTarget])

    package static func limits(_ values: SettingValues) -> InstanceLimits {
        InstanceLimits(overall: values[instancesMax], byTarget: values[instancesMaxByTarget] ?? [:])
    }

    private static var names: String { Target.allCases.map(\.rawValue).joined(separator: ", ") }

    /// nil for an unknown target, one that is there twice, and what is no number from 1.
    static func parse(_ entries: [String]) -> [Target: Int]? {
        var limits: [Target: Int] = [:]
        for entry in entries {
            let parts = entry.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, let target = Target(name: parts[0]), let limit = Int(parts[1]), limit > 0,
                limits.updateValue(limit, forKey: target) == nil
            else { return nil }
        }
        return limits
    }
}
