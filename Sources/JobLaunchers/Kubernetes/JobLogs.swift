import KubernetesBridge
import Synchronization
import Workflow

/// Reads the logs of Jobs' pods, and keeps them before they go.
final class JobLogs: Sendable {
    /// The end of what an attempt wrote.
    struct Tail: Sendable {
        var bytes: [UInt8]
        /// What kept the rest from being read; nil: nothing is missing.
        var failure: KubernetesError?
    }

    private let client: KubernetesClient
    private let store: any LogStore
    private let observe: KubernetesObserver
    /// How often the log of a Job could not be kept whole, by uid.
    private let tries = Mutex<[String: Int]>([:])

    /// A log that cannot be kept holds its Job up for so many tries.
    static let triesMax = 5
    /// Far more Jobs than have trouble at one time.
    private static let rememberedMax = 4_096

    init(client: KubernetesClient, store: any LogStore, observe: @escaping KubernetesObserver) {
        self.client = client
        self.store = store
        self.observe = observe
    }

    /// The Job's pods: those in sight, else those that the server tells of when it is asked.
    func pods(
        of place: JobPlace, _ view: ClusterView, within time: Duration
    ) async throws(KubernetesError) -> [PodObject] {
        let seen = view.pods(of: place.uid)
        return seen.isEmpty ? try await askForPods(of: place, within: time) : seen
    }

    /// The Job's pods, as the server tells now.
    func askForPods(of place: JobPlace, within time: Duration) async throws(KubernetesError) -> [PodObject] {
        let found = try await client.within(time).list(.pods, LabelSelector(["job-name": place.name])).items
        return found.filter { $0.jobUID == place.uid }
    }

    /// The end of what the pods' workers wrote, the oldest pod first; nil when there is no pod to ask.
    ///
    /// - Parameter time: for each pod.
    /// - Throws: ``KubernetesError`` when nothing could be read.
    func read(
        _ pods: [PodObject], bytesMax: Int, within time: Duration
    ) async throws(KubernetesError) -> Tail? {
        var tail = ByteTail(bytesMax: bytesMax)
        var (hasAny, failure) = (false, KubernetesError?.none)
        for pod in pods {
            do throws(KubernetesError) {
                let part = try await client.within(time).logTail(
                    pod: pod.metadata.name, container: JobManifest.container, bytesMax: bytesMax)
                tail.append(part.bytes)
                failure = part.failure ?? failure
                hasAny = true
            } catch  where error.code == .notFound || error.code == .invalid {
                // Gone, or its container was never started: it has none.
                continue
            } catch {
                failure = error
            }
        }
        if let failure, tail.isEmpty { throw failure }
        return hasAny ? Tail(bytes: tail.bytes, failure: failure) : nil
    }

    /// Keeps the log of a Job that is about to go.
    ///
    /// - Parameter time: for each request; the log of a pod is one.
    /// - Returns: false when it is not kept, or not whole, and another try is worth it.
    func save(of place: JobPlace, _ view: ClusterView, within time: Duration) async -> Bool {
        var key = view.job(place.uid)?.key
        do {
            let pods = try await pods(of: place, view, within: time)
            key = key ?? pods.lazy.compactMap(\.key).first
            guard let key, let log = try await read(pods, bytesMax: SavedLog.bytesMax, within: time) else {
                return true
            }
            // A part is better than nothing, should the rest never come.
            try await store.save(log.bytes, of: key)
            if let failure = log.failure { throw failure }
            tries.withLock { _ = $0.removeValue(forKey: place.uid) }
            return true
        } catch {
            observe(.logNotSaved(name: place.name, key, error: "\(error)"))
            return hasTriedEnough(place.uid)
        }
    }

    private func hasTriedEnough(_ uid: String) -> Bool {
        tries.withLock { tries in
            if tries.count >= Self.rememberedMax { tries = [:] }
            tries[uid, default: 0] += 1
            return tries[uid, default: 0] >= Self.triesMax
        }
    }
}

extension PodObject {
    fileprivate var key: JobKey? {
        JobLabels.key(labels: metadata.labels, annotations: metadata.annotations)
    }
}
