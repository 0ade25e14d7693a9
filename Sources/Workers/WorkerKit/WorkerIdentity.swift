import Glibc
import ServiceRuntime
import Workflow

/// Which attempt of which instance a worker is, and how its events name it.
package struct WorkerIdentity: Sendable, Hashable {
    package var queueID: QueueID
    package var instance: InstanceID
    package var attempt: Int
    /// The kind of worker, or the name the plan uses for it.
    package var target: String
    package var symbol: String
    package var type: String
    /// `producer` of its events.
    package var producerID: String
    /// Names the process, e.g. `node-1/4711`.
    package var workerID: String

    private static let queueID = WorkerSettings.queueID.typed(expects: "the id of a queue") { QueueID($0) }
    private static let step = WorkerSettings.step.typed(expects: "the id of a step") { StepID($0) }
    /// ``WorkerSettings/identity`` with the ids checked at the start.
    package static let settings = WorkerSettings.identity.replacing([queueID, step])

    init(_ values: SettingValues, kind: String) {
        queueID = values[Self.queueID]
        instance = InstanceID(step: values[Self.step], instance: values[WorkerSettings.instance])
        attempt = values[WorkerSettings.attempt]
        target = values[WorkerSettings.target] ?? kind
        symbol = values[WorkerSettings.symbol]
        type = values[WorkerSettings.type]
        producerID =
            values[WorkerSettings.telemetryProducerID]
            ?? "\(target)__\(queueID.suffix)/\(instance.instance)/\(attempt)"
        workerID = values[WorkerSettings.workerID] ?? "\(ProcessEnvironment.hostName())/\(getpid())"
    }

    /// The identity of an offered attempt; what only settings say stays empty until they are read.
    init(_ offer: PoolOffer, workerID: String) {
        queueID = offer.queueID
        instance = offer.id
        attempt = offer.attempt
        target = offer.target.rawValue
        symbol = offer.environment[WorkerSettings.symbol.name] ?? ""
        type = offer.environment[WorkerSettings.type.name] ?? ""
        producerID =
            offer.environment[WorkerSettings.telemetryProducerID.name]
            ?? DerivedName.producerID(
                target: offer.target, queue: offer.queueID, instance: offer.instance, attempt: offer.attempt)
        self.workerID = workerID
    }

    /// An event of this attempt, without seq and counts.
    func event(_ status: QueueEvent.Status?, seq: Int64, message: String) -> QueueEvent {
        QueueEvent(
            event: status == nil ? .pong : .status, status: status, queueID: queueID, step: instance.step,
            instance: instance.instance, attempt: attempt, seq: seq, producer: producerID,
            workerID: workerID, symbol: symbol, type: type, message: message,
            timestamp: UTCTimestamp.now().seconds)
    }

    /// Its fields in log lines.
    var logFields: [String: String] {
        [
            "queue_id": queueID.rawValue, "step_id": instance.step.rawValue, "instance": instance.instance,
            "attempt": String(attempt), "worker_kind": target,
        ]
    }
}
