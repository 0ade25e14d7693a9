import KubernetesBridge
import Logging
import Metrics

/// Turns what the launcher reports into log lines and metrics.
package struct KubernetesReporter: Sendable {
    private let logger: Logger
    private let factory: any MetricsFactory

    package init(logger: Logger, factory: any MetricsFactory) {
        self.logger = logger
        self.factory = factory
    }

    package func callAsFunction(_ observation: KubernetesObservation) {
        switch observation {
        case .requested(let request):
            let status = request.status.map { String($0) } ?? "none"
            let labels = [("verb", request.verb), ("resource", request.resource)]
            count("kubernetes_requests_total", labels + [("status", status)])
            Timer(label: "kubernetes_request_duration_seconds", dimensions: labels, factory: factory)
                .recordNanoseconds(Int64(request.duration.inSeconds * 1e9))
        case .watchFailed(let resource, let error):
            count("kubernetes_watch_failures_total", [("resource", resource)])
            logger.notice(
                "Began watch of cluster anew", metadata: ["resource": "\(resource)", "error": "\(error)"])
        case .logNotSaved(let name, let key, let error):
            count("kubernetes_logs_not_saved_total")
            var metadata: Logger.Metadata = ["job": "\(name)", "error": "\(error)"]
            if let key {
                metadata["queue_id"] = "\(key.queueID)"
                metadata["step_id"] = "\(key.id.step)"
                metadata["instance"] = "\(key.id.instance)"
                metadata["attempt"] = "\(key.attempt)"
            }
            logger.warning("Failed to save log of job", metadata: metadata)
        case .jobDeleted(let name):
            count("kubernetes_jobs_deleted_total")
            logger.debug("Deleted job", metadata: ["job": "\(name)"])
        case .sweepFailed(let error):
            count("kubernetes_sweep_failures_total")
            logger.warning("Failed to delete jobs", metadata: ["error": "\(error)"])
        case .jobsSeen(let jobs):
            Gauge(label: "kubernetes_jobs", dimensions: [], factory: factory).record(jobs)
        }
    }

    private func count(_ name: String, _ labels: [(String, String)] = []) {
        Counter(label: name, dimensions: labels, factory: factory).increment()
    }
}
