import KubernetesBridge
import Workflow

/// Reads the logs of Jobs' pods, and keeps them before they go.
struct JobLogs: Sendable {
    let client: KubernetesClient
    let store: any LogStore
    let observe: KubernetesObserver

    /// The end of what the pods' workers wrote, the oldest pod first; nil when there is no pod to ask.
    func read(_ pods: [PodObject], bytesMax: Int) async throws(KubernetesError) -> [UInt8]? {
        var tail = ByteTail(bytesMax: bytesMax)
        var hasAny = false
        for pod in pods {
            do throws(KubernetesError) {
                tail.append(
                    try await client.logTail(
                        pod: pod.metadata.name, container: JobManifest.container, bytesMax: bytesMax))
                hasAny = true
            } catch  where error.code == .notFound || error.code == .invalid {
                // Gone, or its container was never started: it has none.
                continue
            }
        }
        return hasAny ? tail.bytes : nil
    }

    /// Keeps the log of a Job that is about to go.
    ///
    /// - Returns: false when that failed and may succeed later.
    @discardableResult
    func save(of uid: String, _ view: ClusterView) async -> Bool {
        let pods = view.pods(of: uid)
        guard let key = pods.lazy.compactMap(\.key).first else { return true }
        do {
            guard let log = try await read(pods, bytesMax: SavedLog.bytesMax) else { return true }
            try await store.save(log, of: key)
            return true
        } catch {
            observe(.logNotSaved(key, error: "\(error)"))
            return false
        }
    }
}

extension PodObject {
    fileprivate var key: JobKey? {
        JobLabels.key(labels: metadata.labels, annotations: metadata.annotations)
    }
}
