import CoreMetrics
import Synchronization

enum MetricKind: Equatable, Sendable {
    case counter
    case gauge
    /// Upper bounds, rising, without the infinite one.
    case histogram(buckets: [Double])

    var typeName: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}

/// One label set of a family. It takes every kind of handler call; only those of its kind reach it.
final class Series: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    private struct State {
        /// The value of a counter or gauge, the sum of a histogram.
        var total = 0.0
        var bucketCounts: [Int64]
        var count: Int64 = 0
    }

    private let kind: MetricKind
    private let state: Mutex<State>

    init(kind: MetricKind) {
        self.kind = kind
        if case .histogram(let buckets) = kind {
            state = Mutex(State(bucketCounts: Array(repeating: 0, count: buckets.count)))
        } else {
            state = Mutex(State(bucketCounts: []))
        }
    }

    func increment(by amount: Int64) { add(Double(amount)) }
    func increment(by amount: Double) { add(amount) }
    func decrement(by amount: Double) { add(-amount) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { state.withLock { $0.total = value } }
    func record(_ value: Int64) { record(Double(value)) }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func reset() { set(0.0) }

    private func add(_ amount: Double) { state.withLock { $0.total += amount } }

    func record(_ value: Double) {
        guard case .histogram(let buckets) = kind else { return set(value) }
        state.withLock { state in
            state.total += value
            state.count += 1
            if let index = buckets.firstIndex(where: { value <= $0 }) { state.bucketCounts[index] += 1 }
        }
    }

    /// - Parameter labels: rendered, with braces; empty when there are none.
    func append(to text: inout PrometheusText, name: String, labels: String) {
        let state = state.withLock { $0 }
        guard case .histogram(let buckets) = kind else { return text.sample(name, labels, state.total) }
        var cumulative: Int64 = 0
        for (bound, count) in zip(buckets, state.bucketCounts) {
            cumulative += count
            let bucket = PrometheusText.adding("le", PrometheusText.number(bound), to: labels)
            text.sample("\(name)_bucket", bucket, Double(cumulative))
        }
        text.sample("\(name)_bucket", PrometheusText.adding("le", "+Inf", to: labels), Double(state.count))
        text.sample("\(name)_sum", labels, state.total)
        text.sample("\(name)_count", labels, Double(state.count))
    }
}
