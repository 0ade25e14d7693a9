import KubernetesBridge
import Workflow

/// Runs each attempt as a batch/v1 Job.
///
/// What became of Jobs is known from two watches, never by asking for each. The Job's name follows from the
/// attempt, so that a launch that was not heard of is found again.
package final class KubernetesLauncher: JobLauncher {
    package struct Configuration: Sendable {
        package var manifest: JobManifestSettings
        package var limits = WaitLimits()
        /// How long `kill` waits for a Job to be gone; then it is asked again later.
        package var killWait = Duration.seconds(10)

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
    private let observe: KubernetesObserver

    package init(
        _ client: KubernetesClient, _ configuration: Configuration, logs: any LogStore,
        observe: @escaping KubernetesObserver
    ) {
        let (ends, continuation) = AsyncStream<QueueID>.makeStream(bufferingPolicy: .bufferingNewest(1_024))
        self.client = client
        self.configuration = configuration
        self.ends = ends
        endsContinuation = continuation
        self.observe = observe
        view = ClusterView(limits: configuration.limits) { continuation.yield($0) }
        self.logs = JobLogs(client: client, store: logs, observe: observe)
    }

    package func close() async { await client.close() }

    package func isLaunchRepeatable(for target: Target) -> Bool { true }
    package func mayWait(for target: Target) -> Bool { true }
    /// Hints come at once; this is for one that was missed, and costs no request.
    package func pollInterval(for target: Target) -> Duration? { .seconds(5) }

    // MARK: Jobs

    package func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
        let manifest = JobManifest(job, configuration.manifest)
        let operation = "launch \(job.id)"
        do {
            let json = try MessageCodec.encode(manifest.json)
            let made = try await create(manifest, json)
            view.learn(made)
            return handle(made)
        } catch let error as KubernetesError {
            throw LaunchError(operation: operation, detail: error.description, isRetriable: error.mayPass)
        } catch {
            throw LaunchError(operation: operation, detail: "\(error)", isRetriable: false)
        }
    }

    private func create(_ manifest: JobManifest, _ json: [UInt8]) async throws(KubernetesError) -> JobObject {
        do {
            return try await client.create(.jobs, name: manifest.name, json: json)
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
            let found = try await client.list(.jobs, LabelSelector(labels)).items
            // A label may stand for several names, an annotation does not.
            guard let job = found.first(where: { $0.key == key }) else { return nil }
            view.learn(job)
            return handle(job)
        } catch {
            throw LaunchError(operation: "find \(id)", detail: error.description, isRetriable: true)
        }
    }

    package func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
        let place = try Place(handle)
        guard place.namespace == client.configuration.namespace else { return .outOfSight }
        let known = view.state(of: place.uid)
        if case .stuck(let why, let isFinal) = known {
            return .stuck(why: await explained(why, place), isFinal: isFinal)
        }
        if let known { return known }
        guard view.isComplete else {
            throw LaunchError(
                operation: "see \(place.name)", detail: "the API server has not told yet what there is",
                isRetriable: true)
        }
        // Made by another replica a moment ago, or gone before we looked: asked once, then it is known.
        do throws(KubernetesError) {
            let job = try await client.get(.jobs, name: place.name)
            guard job.metadata.uid == place.uid else { return .ended(how: nil) }
            view.learn(job)
            return view.state(of: place.uid) ?? .running
        } catch  where error.code == .notFound {
            return .ended(how: nil)
        } catch {
            throw LaunchError(operation: "see \(place.name)", detail: error.description, isRetriable: true)
        }
    }

    /// A Job without a pod was refused by a quota or an admission rule; only its events say so.
    private func explained(_ why: String, _ place: Place) async -> String {
        guard view.pods(of: place.uid).isEmpty else { return why }
        let events = try? await client.events(about: place.uid)
        let warning = events?.last { $0.type == "Warning" }
        return warning?.message.map { "\(why) (\($0.prefix(300)))" } ?? why
    }

    package func kill(_ handle: JobHandle) async throws(LaunchError) {
        let place = try Place(handle)
        guard place.namespace == client.configuration.namespace else { return }
        await logs.save(of: place.uid, view)
        do throws(KubernetesError) {
            // The Job stays until its pods are gone: then nothing of the attempt runs any more.
            try await client.delete(.jobs, name: place.name, uid: place.uid, .foreground)
        } catch  where error.code == .notFound || error.code == .conflict {
            return
        } catch {
            throw LaunchError(operation: "end \(place.name)", detail: error.description, isRetriable: true)
        }
        let deadline = ContinuousClock.now + configuration.killWait
        while view.isHere(place.uid) {
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw LaunchError(
                    operation: "end \(place.name)", detail: "its pods are still ending", isRetriable: true)
            }
            // The watch tells; this only looks at what it told.
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    package func log(of handle: JobHandle, bytesMax: Int) async throws(LaunchError) -> [UInt8]? {
        let place = try Place(handle)
        guard place.namespace == client.configuration.namespace else { return nil }
        do throws(KubernetesError) {
            return try await logs.read(view.pods(of: place.uid), bytesMax: bytesMax)
        } catch {
            throw LaunchError(
                operation: "read the log of \(place.name)", detail: error.description, isRetriable: true)
        }
    }

    // MARK: Handles

    private func handle(_ job: JobObject) -> JobHandle {
        JobHandle(
            launcher: name,
            fields: [
                "namespace": job.metadata.namespace ?? client.configuration.namespace,
                "job": job.metadata.name, "uid": job.metadata.uid,
            ])
    }

    private struct Place {
        var namespace: String
        var name: String
        var uid: String

        init(_ handle: JobHandle) throws(LaunchError) {
            guard let namespace = handle.fields["namespace"], let name = handle.fields["job"],
                let uid = handle.fields["uid"]
            else {
                throw LaunchError(
                    operation: "find a Job", detail: "the stored handle is incomplete", isRetriable: false)
            }
            (self.namespace, self.name, self.uid) = (namespace, name, uid)
        }
    }
}

extension KubernetesError {
    /// Whether a launch that met this may succeed later: also when a quota is used up now, or credentials are
    /// being replaced.
    var mayPass: Bool {
        switch code {
        case .forbidden: detail.contains("exceeded quota")
        case .notFound, .unauthorized, .conflict, .expired, .cancelled: true
        case .tooManyRequests, .timeout, .unavailable, .malformed: true
        case .alreadyExists, .invalid, .configuration: false
        }
    }
}
