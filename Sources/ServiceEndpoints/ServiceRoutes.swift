import Hummingbird
import ServiceRuntime

/// The routes every program has.
package enum ServiceRoutes {
    /// Adds `GET /metrics` (Prometheus text) and `GET /health/startup`, `/health/ready`, `/health/live`
    /// (200 or 503, `{"status":"ok"|"unavailable","reasons":[…]}`) to a program's router.
    package static func add(
        to router: some RouterMethods, health: HealthState, metrics: PrometheusRegistry
    ) {
        router.get("metrics") { _, _ in
            response(.ok, contentType: PrometheusRegistry.contentType, metrics.render())
        }
        for probe in HealthState.Probe.allCases {
            router.get("health/\(probe.rawValue)") { _, _ in
                let report = health.report(probe)
                return response(
                    report.isOK ? .ok : .serviceUnavailable, contentType: "application/json", json(report))
            }
        }
    }

    private static func response(
        _ status: HTTPResponse.Status, contentType: String, _ body: String
    ) -> Response {
        Response(
            status: status, headers: [.contentType: contentType, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
    }

    private static func json(_ report: HealthState.Report) -> String {
        var text = JSONText()
        text.raw("{\"status\":")
        text.string(report.isOK ? "ok" : "unavailable")
        text.raw(",\"reasons\":[")
        for (index, reason) in report.reasons.enumerated() {
            if index > 0 { text.raw(",") }
            text.string(reason)
        }
        text.raw("]}")
        return String(decoding: text.bytes, as: UTF8.self)
    }
}
