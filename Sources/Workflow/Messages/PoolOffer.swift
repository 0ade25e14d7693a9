/// An attempt offered to the pool of its target, on `sf-pool-<target>` with the queue id as key.
///
/// Taken once: the worker that commits the offer's offset runs it (design decision 15).
package struct PoolOffer: Sendable, Hashable, Codable {
    package var queueID: QueueID
    package var step: StepID
    package var instance: String
    package var attempt: Int
    package var target: Target
    /// What is special to the attempt (design "Environment of a worker"); never a secret.
    package var environment: [String: String]
    package var traceparent: String?

    package enum CodingKeys: String, CodingKey {
        case step, instance, attempt, target, environment, traceparent
        case queueID = "queue_id"
    }

    package init(
        queueID: QueueID, id: InstanceID, attempt: Int, target: Target, environment: [String: String],
        traceparent: String? = nil
    ) {
        self.queueID = queueID
        step = id.step
        instance = id.instance
        self.attempt = attempt
        self.target = target
        self.environment = environment
        self.traceparent = traceparent
    }

    package var id: InstanceID { InstanceID(step: step, instance: instance) }
}
