import KubernetesBridge
import ServiceLifecycle
import Workflow

/// What the launcher reports.
package enum KubernetesObservation: Sendable {
    case requested(RequestObservation)
    /// `jobs` or `pods`.
    case watchFailed(resource: String, KubernetesError)
    /// `name` is the Job's; nil: not even whose it is could be read.
    case logNotSaved(name: String, JobKey?, error: String)
    case jobDeleted(name: String)
    case sweepFailed(error: String)
    case jobsSeen(count: Int)
}

package typealias KubernetesObserver = @Sendable (KubernetesObservation) -> Void

/// Keeps the launcher's view of the cluster: one watch for all Jobs, one for all their pods.
package struct ClusterWatch: Service {
    private let launcher: KubernetesLauncher
    private let observe: KubernetesObserver

    package init(_ launcher: KubernetesLauncher, observe: @escaping KubernetesObserver) {
        self.launcher = launcher
        self.observe = observe
    }

    package func run() async throws {
        let (client, view) = (launcher.client, launcher.view)
        let selector = LabelSelector(
            JobLabels.everyJob(installation: launcher.configuration.manifest.installation))
        let jobs = Reflector(client, .jobs, selector) { [observe] news in
            if case .failed(let error) = news { observe(.watchFailed(resource: "jobs", error)) }
            view.apply(news)
            observe(.jobsSeen(count: view.jobCount))
        }
        let pods = Reflector(client, .pods, selector) { [observe] news in
            if case .failed(let error) = news { observe(.watchFailed(resource: "pods", error)) }
            view.apply(news)
        }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await jobs.run() }
                group.addTask { await pods.run() }
            }
        }
    }
}
