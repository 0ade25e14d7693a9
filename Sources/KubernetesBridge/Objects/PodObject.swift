/// A Pod, as far as we read it.
package struct PodObject: KubernetesObject, Hashable {
    package struct Condition: Sendable, Hashable, Decodable {
        /// `PodScheduled`, `Ready`, `DisruptionTarget`, …
        package var type: String
        package var status: String
        package var reason: String?
        package var message: String?
    }

    package struct Container: Sendable, Hashable, Decodable {
        package struct Waiting: Sendable, Hashable, Decodable {
            package var reason: String?
            package var message: String?
        }

        package struct Terminated: Sendable, Hashable, Decodable {
            package var exitCode: Int
            package var signal: Int?
            package var reason: String?
            package var message: String?
        }

        package struct Running: Sendable, Hashable, Decodable {
            package var startedAt: String?
        }

        package struct State: Sendable, Hashable, Decodable {
            package var waiting: Waiting?
            package var running: Running?
            package var terminated: Terminated?
        }

        package var name: String
        package var state: State?
        /// Whether its node says that it works; as it was last said.
        package var ready: Bool?
    }

    package struct Status: Sendable, Hashable, Decodable {
        /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        package var phase: String?
        package var reason: String?
        package var message: String?
        package var conditions: [Condition]?
        package var containerStatuses: [Container]?
        package var initContainerStatuses: [Container]?
    }

    package struct Spec: Sendable, Hashable, Decodable {
        package var nodeName: String?
    }

    package var metadata: ObjectMetadata
    package var spec: Spec?
    package var status: Status?

    package func condition(_ type: String) -> Condition? {
        status?.conditions?.first { $0.type == type }
    }
}
