import Synchronization

/// Hands out seeds to threads.
private final class SeedQueue: Sendable {
    private let seeds: Mutex<Range<UInt64>>

    init(_ seeds: Range<UInt64>) {
        self.seeds = Mutex(seeds)
    }

    func next() -> UInt64? { seeds.withLock { $0.popFirst() } }
    func stop() { seeds.withLock { $0 = $0.upperBound..<$0.upperBound } }
}

/// What many seeds came to.
package struct SimulationSummary: Sendable {
    package private(set) var failures: [SimulationReport] = []
    /// Of all seeds' digests, in no order.
    package private(set) var digest: UInt64 = 0
    private var reports = 0
    private var values: [String: [Int]] = [:]
    private var faultKinds: [String: Int] = [:]
    /// How often queues were looked at in which way.
    package private(set) var lookKinds: [String: Int] = [:]

    package init() {}

    /// Runs every seed; stops at the first failure when `stopsAtFailure`.
    package static func run(
        seeds: Range<UInt64>, bugs: Set<PlantedBug> = [], keepsTrace: Bool = false, threads: Int = 2,
        stopsAtFailure: Bool = false
    ) async -> SimulationSummary {
        let queue = SeedQueue(seeds)
        return await withTaskGroup(of: SimulationSummary.self) { group in
            for _ in 0..<threads {
                group.addTask {
                    var summary = SimulationSummary()
                    while let seed = queue.next() {
                        let report = Simulation.run(seed: seed, bugs: bugs, keepsTrace: keepsTrace)
                        summary.add(report)
                        if report.violation != nil, stopsAtFailure { queue.stop() }
                    }
                    return summary
                }
            }
            return await group.reduce(into: SimulationSummary()) { $0.merge($1) }
        }
    }

    private mutating func add(_ report: SimulationReport) {
        reports += 1
        digest &+= report.digest
        if report.violation != nil { failures.append(report) }
        values["instances", default: []].append(report.instances)
        values["attempts", default: []].append(report.attempts)
        values["replicas", default: []].append(report.replicas)
        values["steps", default: []].append(report.steps)
        values["faults", default: []].append(report.faults)
        faultKinds.merge(report.faultKinds, uniquingKeysWith: +)
        lookKinds.merge(report.lookKinds, uniquingKeysWith: +)
    }

    private mutating func merge(_ other: SimulationSummary) {
        reports += other.reports
        digest &+= other.digest
        failures = (failures + other.failures).sorted { $0.seed < $1.seed }
        values.merge(other.values, uniquingKeysWith: +)
        faultKinds.merge(other.faultKinds, uniquingKeysWith: +)
        lookKinds.merge(other.lookKinds, uniquingKeysWith: +)
    }

    /// The average of a value over all seeds.
    package func average(_ name: String) -> Double {
        guard let values = values[name], !values.isEmpty else { return 0 }
        return Double(values.reduce(0, +)) / Double(values.count)
    }

    /// How the seeds spread, in tenths, and how often each fault happened.
    package var histogram: String {
        var lines = ["a seed:            least    10 %    50 %    90 %    most   average"]
        for name in ["instances", "attempts", "replicas", "steps", "faults"] {
            let sorted = (values[name] ?? []).sorted()
            guard let last = sorted.last else { continue }
            let columns =
                [0, sorted.count / 10, sorted.count / 2, sorted.count * 9 / 10].map { sorted[$0] } + [last]
            let text = columns.map { pad(String($0), 8) }.joined()
            lines.append("  \(name)".padding(16) + text + pad(String(Int(average(name).rounded())), 10))
        }
        for (name, kinds) in [("looks", lookKinds), ("faults", faultKinds)] {
            lines.append("\(name) in all:")
            for (kind, count) in kinds.sorted(by: { $0.key < $1.key }) {
                lines.append("  \(kind)".padding(44) + pad(String(count), 8))
            }
        }
        return lines.joined(separator: "\n")
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
