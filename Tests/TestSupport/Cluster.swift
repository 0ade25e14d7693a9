internal import Foundation

/// The Kubernetes API server that tests may use: the one `KUBECONFIG` names.
///
/// `scripts/test --kubernetes` sets `STREAMFORGE_TEST_KUBERNETES`: then tests that need one do not skip but fail
/// where there is none.
package enum TestCluster {
    package static var kubeconfig: String? {
        ProcessInfo.processInfo.environment["KUBECONFIG"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Whether tests that need a cluster run.
    package static var isWanted: Bool {
        kubeconfig != nil || ProcessInfo.processInfo.environment["STREAMFORGE_TEST_KUBERNETES"] == "1"
    }

    /// Why they are skipped else.
    package static let skipReason =
        "KUBECONFIG is not set: no Kubernetes API server to test against (scripts/test --kubernetes)"
}
