import KubernetesBridge
import Synchronization
import Workflow

/// Runs each attempt as a batch/v1 Job.
///
/// What became of Jobs is known from two watches, never by asking for each. The Job's name follows from the
/// attempt, so that a launch that was not heard of is found again.
package final class KubernetesLauncher: JobLauncher {
    package struct Configuration: Sendable {
        package var manifest: JobManifestSettings
        package var limits = WaitLimits()
        /// How long a launch may take; the engine holds its queue meanwhile.
        package var launchTime = Duration.seconds(10)
        /// How long one call for an attempt may take beside that: see, end, read its log.
        package var callTime = Duration.seconds(3)
        /// How long `kill` waits for a Job to be gone; then it is asked again later.
        package var killWait = Duration.seconds(1)
        /// How long after its lease an attempt whose pod seems to run is in doubt: a cluster takes 40 to 50 s to see
        /// that a node is silent, and up to a minute more to collect the pods of one that was deleted before.
        package var nodeLossGrace = Duration.seconds(90)

        package init(manifest: JobManifestSettings) {
            self.manifest = manifest
        }
    }

    package let name = "kubernetes"
    package let ends: AsyncStream<QueueID>
    let client: KubernetesClient
    let configuration: Configuration
    let view: ClusterView
    let logs: JobLogs
    private let endsContinuation: AsyncStream<QueueID>.Continuation
    private let trouble: Mutex<LaunchTrouble>

    package init(
        _ client: KubernetesClient, _ configuration: Configuration, logs: any LogStore,
        observe: @escaping KubernetesObserver
    ) {
        let (ends, continuation) = AsyncStream<QueueID>.makeStream(bufferingPolicy: .bufferingNewest(1_024))
        self.client = client
        self.configuration = configuration
        self.ends = ends
        endsContinuation = continuation
        trouble = Mutex(LaunchTrouble(limit: configuration.limits.place))
        view = ClusterView(limits: configuration.limits) { continuation.yield($0) }
        self.logs = JobLogs(client: client, store: logs, observe: observe)
    }

    package func close() async { await client.close() }

    package func isLaunchRepeatable(for target: Target) -> Bool { true }
    package func mayWait(for target: Target) -> Bool { true }
    package func lossGrace(for target: Target) -> Duration { configuration.nodeLossGrace }
    /// Hints come at once; this is for one that was missed, and costs no request.
    package func pollInterval(for target: Target) -> Duration? { .seconds(5) }

    /// For one call about an attempt.
    private var quick: KubernetesClient { client.within(configuration.callTime) }

    // MARK: Jobs

    package func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
        let manifest = JobManifest(job, configuration.manifest)
        let key = JobKey(queueID: job.queueID, id: job.id, attempt: job.attempt)
        do throws(KubernetesError) {
            let made = try await create(manifest)
            view.learn(made)
            trouble.withLock { $0.succeeded(key) }
            return handle(made)
        } catch {
            throw trouble.withLock { $0.judge(error, of: key, now: .now) }
        }
    }

    private func create(_ manifest: JobManifest) async throws(KubernetesError) -> JobObject {
        let client = client.within(configuration.launchTime)
        do {
            return try await client.create(.jobs, name: manifest.name, json: try manifest.encoded())
        } catch  where error.code == .alreadyExists {
            let there = try await client.get(.jobs, name: manifest.name)
            // Made by an earlier try of ours, or of a replica that died; or by somebody else.
            guard manifest.labels.allSatisfy({ there.metadata.labels[$0.key] == $0.value }) else {
                throw KubernetesError(
                    .alreadyExists, operation: error.operation,
                    detail: "a Job of this name is there and was not made for this attempt")
            }
            return there
        }
    }

    package func find(
        _ id: InstanceID, attempt: Int, of queueID: QueueID
    ) async throws(LaunchError) -> JobHandle? {
        let key = JobKey(queueID: queueID, id: id, attempt: attempt)
        let labels = JobLabels.identity(key, installation: configuration.manifest.installation)
        do throws(KubernetesError) {
            let found = try await quick.list(.jobs, LabelSelector(labels)).items
            // A label may stand for several names, an annotation does not.
            guard let job = found.first(where: { $0.key == key }) else { return nil }
            view.learn(job)
            return handle(job)
        } catch {
            throw LaunchError(.retriable, operation: "find \(id)", detail: error.description)
        }
    }

    package func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
        let place = try JobPlace(handle)
        guard place.namespace == client.configuration.namespace else { return .outOfSight }
        do throws(KubernetesError) {
            let state = try await state(of: place)
            // What seems to run may have ended long ago, on a node that is lost.
            guard case .running = state, view.isBlind else { return state }
            throw KubernetesError(
                .unavailable, operation: "see \(place.name)", detail: "the watch of the cluster is broken")
        } catch {
            throw LaunchError(.unavailable, operation: "see \(place.name)", detail: error.description)
        }
    }

    private func state(of place: JobPlace) async throws(KubernetesError) -> JobState {
        if view.needsPods(of: place.uid) { try await askForPods(of: place) }
        let known = view.state(of: place.uid)
        if case .stuck(let why, let isFinal) = known {
            return .stuck(why: await explained(why, place), isFinal: isFinal)
        }
        if let known { return known }
        guard view.isComplete else {
            throw KubernetesError(
                .unavailable, operation: "see \(place.name)",
                detail: "the API server has not told yet what there is")
        }
        // Made by another replica a moment ago, or gone before we looked: asked once, then it is known.
        let gone = JobState.ended(how: JobEnding(.jobDeleted, "its job is not there any more").text)
        do throws(KubernetesError) {
            let job = try await quick.get(.jobs, name: place.name)
            guard job.metadata.uid == place.uid else { return gone }
            view.learn(job)
            if view.needsPods(of: place.uid) { try await askForPods(of: place) }
            return view.state(of: place.uid) ?? .running
        } catch  where error.code == .notFound {
            return gone
        }
    }

    private func askForPods(of place: JobPlace) async throws(KubernetesError) {
        view.learn(
            try await logs.askForPods(of: place, within: configuration.callTime), of: place.uid)
    }

    /// A Job without a pod was refused by a quota or an admission rule, a container that is being made for long lacks
    /// a volume; only events say so.
    private func explained(_ why: String, _ place: JobPlace) async -> String {
        let about = view.pods(of: place.uid).first?.metadata.uid ?? place.uid
        let events = try? await quick.events(about: about)
        let warning = events?.last { $0.type == "Warning" }
        return warning?.message.map { "\(why) (\($0.prefix(300)))" } ?? why
    }

    package func kill(_ handle: JobHandle) async throws(LaunchError) {
        let place = try JobPlace(handle)
        guard place.namespace == client.configuration.namespace else { return }
        let underWay = LaunchError(.underWay, operation: "end \(place.name)", detail: "its pods still end")
        if view.job(place.uid)?.metadata.deletionTimestamp == nil {
            guard await logs.save(of: place, view, within: configuration.callTime) else {
                throw LaunchError(
                    .retriable, operation: "end \(place.name)", detail: "its log could not be kept yet")
            }
            do throws(KubernetesError) {
                // The Job stays until its pods are gone: then nothing of the attempt runs any more.
                try await quick.delete(.jobs, name: place.name, uid: place.uid, .foreground)
            } catch  where error.code == .notFound || error.code == .conflict {
                return
            } catch {
                throw LaunchError(.retriable, operation: "end \(place.name)", detail: error.description)
            }
        }
        let deadline = ContinuousClock.now + configuration.killWait
        while view.isHere(place.uid) || !view.isComplete {
            guard ContinuousClock.now < deadline, !Task.isCancelled else { throw underWay }
            // The watch tells; this only looks at what it told.
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    package func log(of handle: JobHandle, bytesMax: Int) async throws(LaunchError) -> [UInt8]? {
        let place = try JobPlace(handle)
        guard place.namespace == client.configuration.namespace else { return nil }
        do throws(KubernetesError) {
            let time = client.limits.requestTimeout
            let pods = try await logs.pods(of: place, view, within: time)
            return try await logs.read(pods, bytesMax: bytesMax, within: time)?.bytes
        } catch {
            throw LaunchError(
                .retriable, operation: "read the log of \(place.name)", detail: error.description)
        }
    }

    private func handle(_ job: JobObject) -> JobHandle {
        JobPlace(job, namespace: client.configuration.namespace).handle(of: name)
    }
}

extension JobManifest {
    fileprivate func encoded() throws(KubernetesError) -> [UInt8] {
        do {
            return try MessageCodec.encode(json)
        } catch {
            throw KubernetesError(.invalid, operation: "create \(name)", detail: "\(error)")
        }
    }
}
