import KubernetesBridge
import Workflow

/// What a launch that the API server did not carry out means to its attempt: pure, the time is a parameter.
///
/// An outage uses up no attempts, however long it lasts. What somebody has to mend (a right, a quota, a namespace)
/// is waited for as long as for a place on a node; then the attempt has failed.
package struct LaunchTrouble: Sendable {
    /// How long a refusal that may pass is waited for.
    package let limit: Duration
    /// Since when a launch has been refused.
    private var refusedSince: [JobKey: ContinuousClock.Instant] = [:]

    /// More launches than an engine has under way at a time.
    private static let rememberedMax = 16_384

    package init(limit: Duration) {
        self.limit = limit
    }

    package mutating func succeeded(_ key: JobKey) { refusedSince[key] = nil }

    /// Why the launch failed, and what becomes of the attempt.
    package mutating func judge(
        _ error: KubernetesError, of key: JobKey, now: ContinuousClock.Instant
    ) -> LaunchError {
        let operation = "launch \(key.id)"
        switch error.launchMeaning {
        case .outage: return LaunchError(.unavailable, operation: operation, detail: error.launchWords)
        case .wrong:
            refusedSince[key] = nil
            return LaunchError(.final, operation: operation, detail: error.description)
        case .refused:
            if refusedSince.count >= Self.rememberedMax { refusedSince = [:] }
            let since = refusedSince[key] ?? now
            refusedSince[key] = since
            guard now - since >= limit else {
                return LaunchError(.unavailable, operation: operation, detail: error.launchWords)
            }
            refusedSince[key] = nil
            return LaunchError(.retriable, operation: operation, detail: error.launchWords)
        }
    }
}

extension KubernetesError {
    package enum LaunchMeaning: Sendable, Hashable {
        /// Nobody answers, or nobody may speak to the server at all.
        case outage
        /// Not now: somebody has to mend something.
        case refused
        /// What is asked for is wrong, and will be.
        case wrong
    }

    package var launchMeaning: LaunchMeaning {
        switch code {
        case .tooManyRequests, .timeout, .unavailable, .malformed, .cancelled, .unauthorized, .tlsFailed,
            .expired, .conflict:
            .outage
        case .forbidden, .notFound, .configuration: .refused
        case .alreadyExists, .invalid: .wrong
        }
    }

    /// The same words each time: they become an instance's reason, and a change of it a line of its history.
    package var launchWords: String {
        switch code {
        case .tooManyRequests, .timeout, .unavailable, .malformed, .cancelled, .expired, .conflict:
            "the API server does not answer"
        case .unauthorized: "the API server does not accept our credentials"
        case .tlsFailed: "the API server's certificate, or ours, is not accepted"
        case .forbidden: "the API server does not allow it: \(detail.prefix(300))"
        case .notFound: "there is no such namespace or kind: \(detail.prefix(300))"
        case .configuration, .alreadyExists, .invalid: String(description.prefix(400))
        }
    }
}
