import CoreMetrics
import Synchronization

/// A metrics backend that renders the Prometheus text format 0.0.4.
///
/// Names become legal ones (`.` and other characters turn into `_`); a counter without `_total` and a timer
/// without `_seconds` get it. A name that is in use with another type, and the label sets above
/// ``seriesMax`` of a family, are not kept; `metrics_dropped_series_total` counts them.
package final class PrometheusRegistry: MetricsFactory {
    /// The most label sets one family may have: more of them means that an id became a label.
    package static let seriesMax = 200
    /// Seconds, for timers.
    package static let secondsBuckets = [
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    /// Counts and bytes, for recorders.
    package static let sizeBuckets = [
        1.0, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000,
    ]

    private struct Family {
        var kind: MetricKind
        /// By the rendered label set, e.g. `{code="200"}`.
        var series: [String: Series] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var droppedSeries: Int64 = 0
    }

    private let helps: [String: String]
    private let state = Mutex(State())

    /// - Parameter helps: what a metric means, by its rendered name; shown as HELP.
    package init(helps: [String: String] = [:]) {
        self.helps = helps
    }

    // MARK: - MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(PrometheusText.name(label, ending: "_total"), .counter, dimensions)
    }

    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(PrometheusText.name(label, ending: "_total"), .counter, dimensions)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(PrometheusText.name(label), .gauge, dimensions)
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        let kind = aggregate ? MetricKind.histogram(buckets: Self.sizeBuckets) : .gauge
        return series(PrometheusText.name(label), kind, dimensions)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let name = PrometheusText.name(label, ending: "_seconds")
        return series(name, .histogram(buckets: Self.secondsBuckets), dimensions)
    }

    package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

    private func series(_ name: String, _ kind: MetricKind, _ labels: [(String, String)]) -> Series {
        let labels = PrometheusText.labels(labels)
        return state.withLock { state in
            var family = state.families[name] ?? Family(kind: kind)
            if family.kind == kind, let known = family.series[labels] { return known }
            let series = Series(kind: kind)
            guard family.kind == kind, family.series.count < Self.seriesMax else {
                state.droppedSeries += 1
                return series
            }
            family.series[labels] = series
            state.families[name] = family
            return series
        }
    }

    private func remove(_ handler: AnyObject) {
        state.withLock { state in
            state.families = state.families.mapValues { family in
                var family = family
                family.series = family.series.filter { $0.value !== handler }
                return family
            }
        }
    }

    // MARK: - Rendering

    /// Content type of ``render()``.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Every family, in alphabetical order, with the process's own numbers.
    package func render() -> String {
        let (families, dropped) = state.withLock { ($0.families, $0.droppedSeries) }
        var text = PrometheusText()
        for (name, family) in families.filter({ !$0.value.series.isEmpty }).sorted(by: { $0.key < $1.key }) {
            text.head(name, help: helps[name], type: family.kind.typeName)
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.append(to: &text, name: name, labels: labels)
            }
        }
        text.head("metrics_dropped_series_total", help: "Series over the limits", type: "counter")
        text.sample("metrics_dropped_series_total", "", Double(dropped))
        ProcessNumbers.append(to: &text)
        return text.text
    }
}
