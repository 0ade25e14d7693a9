import Metrics
import WorkerKit
import Workflow

/// The metrics of a dummy that has a process of its own; of many in one process they would mean nothing.
final class DummyMeters: Sendable {
    private struct Meters {
        let pongs: Gauge
        let errors: Counter
        let states: [String: Gauge]
    }

    private let meters: Meters?
    private static let running = "running"
    private static let ends: [QueueEvent.Status] = [.finished, .error, .interrupted]

    init(_ context: WorkerContext) {
        guard !context.isPooled else {
            meters = nil
            return
        }
        let names = [Self.running] + Self.ends.map(\.rawValue)
        meters = Meters(
            pongs: Gauge(label: "dummy_pongs", factory: context.metrics),
            errors: Counter(label: "dummy_errors_total", factory: context.metrics),
            states: Dictionary(
                uniqueKeysWithValues: names.map { name in
                    let dimensions = [("status", name)]
                    return (
                        name,
                        Gauge(label: "dummy_status_last", dimensions: dimensions, factory: context.metrics)
                    )
                }))
    }

    func begin() {
        show(Self.running)
        meters?.pongs.record(0)
        // Shown from the start, so that a rate over it begins at nothing.
        meters?.errors.increment(by: 0)
    }

    func look(_ context: WorkerContext) { meters?.pongs.record(context.pongsSent) }

    func end(_ status: QueueEvent.Status) {
        if status == .error { meters?.errors.increment() }
        show(status.rawValue)
    }

    /// Exactly one status is 1.
    private func show(_ name: String) {
        for (state, gauge) in meters?.states ?? [:] { gauge.record(state == name ? 1 : 0) }
    }
}
