import JobLaunchers
import Testing
import Workflow

/// An attempt as the engine would launch it.
func job(
    _ instance: String = "BTCUSDT", target: Target = .loaderAPICandles, step: String = "load",
    attempt: Int = 1, suffix: String = "abc123", environment: [String: String] = [:]
) throws -> Job {
    let queue = try #require(QueueID("wf-btcusdt-api_candles_1m-20240801-\(suffix)"))
    let step = try #require(StepID(step))
    return Job(
        queueID: queue, id: InstanceID(step: step, instance: instance), attempt: attempt, target: target,
        environment: ["SYMBOL": instance].merging(environment) { _, more in more })
}

extension JSONValue {
    /// The value at a path like `spec.template.spec.containers.0.image`.
    func at(_ path: String) -> JSONValue? {
        path.split(separator: ".").reduce(Optional(self)) { value, name in
            switch value {
            case .object(let members)?: members[String(name)]
            case .array(let items)?: Int(name).flatMap { items.indices.contains($0) ? items[$0] : nil }
            default: nil
            }
        }
    }

    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
}

/// A legal DNS label, as names of Jobs must be.
func isDNSLabel(_ text: String) -> Bool {
    let isInner = text.utf8.allSatisfy { $0.isLowerAlphanumeric || $0 == UInt8(ascii: "-") }
    return (1...63).contains(text.utf8.count) && isInner && !text.hasPrefix("-") && !text.hasSuffix("-")
}

/// A legal label value.
func isLabelValue(_ text: String) -> Bool {
    let isEdge = { (byte: UInt8) in byte.isASCIILetter || byte.isASCIIDigit }
    return text.utf8.count <= 63
        && text.utf8.allSatisfy { isEdge($0) || [0x2d, 0x2e, 0x5f].contains($0) }
        && text.utf8.first.map(isEdge) ?? true && text.utf8.last.map(isEdge) ?? true
}
