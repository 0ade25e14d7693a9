import Foundation
import Metrics
import ServiceRuntime
import Testing

struct PrometheusTests {
    private func lines(_ registry: PrometheusRegistry, _ name: String) -> [String] {
        registry.render().split(separator: "\n").map(String.init).filter { $0.contains(name) }
    }

    @Test func `renders counters and gauges with escaped labels and help`() {
        let registry = PrometheusRegistry(helps: ["jobs_total": "Jobs\nso \\far"])
        let counter = Counter(
            label: "jobs_total", dimensions: [("b", "2"), ("a", "say \"x\"\\\n")], factory: registry)
        counter.increment(by: 2)
        Counter(label: "jobs_total", dimensions: [("a", "say \"x\"\\\n"), ("b", "2")], factory: registry)
            .increment()
        Gauge(label: "depth", factory: registry).record(1.5)
        #expect(
            lines(registry, "jobs_total") == [
                "# HELP jobs_total Jobs\\nso \\\\far", "# TYPE jobs_total counter",
                #"jobs_total{a="say \"x\"\\\n",b="2"} 3"#,
            ])
        #expect(lines(registry, "depth").last == "depth 1.5")
    }

    @Test func `renders timers as histograms in seconds`() {
        let registry = PrometheusRegistry()
        let timer = Metrics.Timer(label: "call.duration", dimensions: [("kind", "x")], factory: registry)
        timer.recordMilliseconds(1)
        timer.recordSeconds(3)
        timer.recordSeconds(100)
        let rendered = lines(registry, "call_duration_seconds")
        #expect(rendered.contains(#"call_duration_seconds_bucket{kind="x",le="0.0005"} 0"#))
        #expect(rendered.contains(#"call_duration_seconds_bucket{kind="x",le="0.001"} 1"#))
        #expect(rendered.contains(#"call_duration_seconds_bucket{kind="x",le="5"} 2"#))
        #expect(rendered.contains(#"call_duration_seconds_bucket{kind="x",le="+Inf"} 3"#))
        #expect(rendered.contains(#"call_duration_seconds_sum{kind="x"} 103.001"#))
        #expect(rendered.contains(#"call_duration_seconds_count{kind="x"} 3"#))
    }

    @Test func `drops label sets over the limit and names with two types, and counts them`() {
        let registry = PrometheusRegistry()
        for id in 0..<(PrometheusRegistry.seriesMax + 5) {
            Counter(label: "hits_total", dimensions: [("id", "\(id)")], factory: registry).increment()
        }
        Gauge(label: "hits_total", factory: registry).record(1)
        #expect(lines(registry, "hits_total{").count == PrometheusRegistry.seriesMax)
        #expect(lines(registry, "metrics_dropped_series_total").last == "metrics_dropped_series_total 6")
    }

    @Test func `makes legal names`() {
        let registry = PrometheusRegistry()
        Counter(label: "2.hb requests", dimensions: [("a-b", "x")], factory: registry).increment()
        #expect(lines(registry, "hb_requests").last == #"_2_hb_requests_total{a_b="x"} 1"#)
    }

    @Test func `forgets what is destroyed`() {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "gone_total", factory: registry)
        counter.increment()
        counter.destroy()
        #expect(lines(registry, "gone_total").isEmpty)
    }

    @Test func `shows the process's own numbers`() throws {
        let line = try #require(lines(PrometheusRegistry(), "process_resident_memory_bytes ").last)
        let bytes = try #require(Double(line.split(separator: " ")[1]))
        #expect(bytes > 1_000_000)
    }

    private static let promtool =
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/promtool" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(.enabled(if: promtool != nil, "promtool is not installed: scripts/setup --tests fetches it"))
    func `satisfies Prometheus' own checker`() throws {
        let registry = PrometheusRegistry(helps: [
            "jobs_total": "Jobs", "call_seconds": "Calls", "depth": "D",
        ])
        Counter(label: "jobs_total", dimensions: [("a", "\"\\\n")], factory: registry).increment()
        Metrics.Timer(label: "call_seconds", factory: registry).recordSeconds(1)
        Gauge(label: "depth", factory: registry).record(-1)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.promtool))
        process.arguments = ["check", "metrics"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardError = output
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(registry.render().utf8))
        try input.fileHandleForWriting.close()
        let said = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(said)")
    }
}
