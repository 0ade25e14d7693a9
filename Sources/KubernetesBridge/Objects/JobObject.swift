/// A batch/v1 Job, as far as we read it.
package struct JobObject: KubernetesObject, Hashable {
    package struct Condition: Sendable, Hashable, Decodable {
        /// `Complete`, `Failed`, `FailureTarget` (it will fail once its pods are gone), `Suspended`, …
        package var type: String
        /// `True`, `False` or `Unknown`.
        package var status: String
        package var reason: String?
        package var message: String?
    }

    package struct Status: Sendable, Hashable, Decodable {
        package var conditions: [Condition]?
        package var active: Int?
        package var succeeded: Int?
        package var failed: Int?
    }

    package var metadata: ObjectMetadata
    package var status: Status?

    /// The condition of that type, if it holds.
    package func holds(_ type: String) -> Condition? {
        status?.conditions?.first { $0.type == type && $0.status == "True" }
    }

    /// Whether the Job controller will do nothing for it any more.
    package var isFinished: Bool { holds("Complete") != nil || holds("Failed") != nil }
}

/// What the cluster noted about an object.
package struct EventObject: KubernetesObject, Hashable {
    package var metadata: ObjectMetadata
    /// `Normal` or `Warning`.
    package var type: String?
    package var reason: String?
    package var message: String?
    package var lastTimestamp: String?
}
