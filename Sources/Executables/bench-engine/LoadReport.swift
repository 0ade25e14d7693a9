import Foundation
import Glibc

/// What a load measured: `{"count", "seconds", "cpu_seconds", "median_ms", "p99_ms", "least_ms", "most_ms"}`.
///
/// `cpu_seconds` are this process's own: they show that the load generator is not what was measured.
struct LoadReport {
    private var taken: [Double] = []
    private let start = ContinuousClock.now
    private let startCPU = Self.cpuSeconds()
    private var seconds = 0.0
    private var cpuSeconds = 0.0

    init(capacity: Int) { taken.reserveCapacity(capacity) }

    var count: Int { taken.count }

    mutating func add(_ took: Duration) { taken.append(took / .milliseconds(1)) }

    mutating func end() {
        seconds = (ContinuousClock.now - start) / .seconds(1)
        cpuSeconds = Self.cpuSeconds() - startCPU
        taken.sort()
    }

    var json: String {
        let values = [
            ("seconds", seconds), ("cpu_seconds", cpuSeconds), ("median_ms", quantile(0.5)),
            ("p99_ms", quantile(0.99)),
            ("least_ms", quantile(0)), ("most_ms", quantile(1)),
        ]
        let fields = values.map { "\"\($0.0)\": \(String(format: "%.4f", $0.1))" }
        return "{\"count\": \(count), \(fields.joined(separator: ", "))}"
    }

    /// The smallest value that at least this share of all does not exceed.
    private func quantile(_ share: Double) -> Double {
        guard !taken.isEmpty else { return 0 }
        let rank = Int((share * Double(taken.count)).rounded(.up))
        return taken[min(max(rank, 1), taken.count) - 1]
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(0) {
            $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6
        }
    }
}
