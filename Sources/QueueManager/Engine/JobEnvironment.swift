import MarketData
import Workflow

/// Makes what is special to an attempt in its worker's environment, from the plan (design "Environment of a
/// worker"). Holds no secrets.
package struct JobEnvironment: Sendable {
    package var controlTopic: String
    package var eventsTopic: String

    package init(controlTopic: String, eventsTopic: String) {
        self.controlTopic = controlTopic
        self.eventsTopic = eventsTopic
    }

    /// nil when the plan does not have the instance: a defect or a foreign row.
    func environment(of attempt: AttemptState, in state: QueueState) -> [String: String]? {
        let (plan, queue, id) = (state.plan, state.queueID, attempt.id.id)
        guard let step = plan.step(id.step), let range = DayRange(plan.timeRange),
            let symbol = Symbol(id.instance),
            let partition = plan.partition(ofInstance: id.instance)
        else { return nil }
        let producer = step.input ?? step.id
        var environment: [String: String] = [:]
        environment["QUEUE_ID"] = queue.rawValue
        environment["STEP"] = step.id.rawValue
        environment["INSTANCE"] = id.instance
        environment["ATTEMPT"] = String(attempt.id.number)
        environment["TARGET"] = step.target.rawValue
        environment["SYMBOL"] = symbol.rawValue
        environment["TYPE"] = step.type
        environment["INTERVAL"] = step.interval.isEmpty ? nil : step.interval
        environment.merge(step.workerSettings ?? [:]) { _, asked in asked }
        environment["TIME_RANGE"] = plan.timeRange
        environment["AS_OF"] = String(state.asOf)
        environment["KAFKA_TOPIC"] = DerivedName.dataTopic(
            queue, producingStep: producer, producingStepCount: plan.producingStepCount)
        environment["KAFKA_PARTITIONS"] = String(partition)
        environment["QUEUE_CONTROL_TOPIC"] = controlTopic
        environment["QUEUE_EVENTS_TOPIC"] = eventsTopic
        environment["CONTROL_PARTITION"] = String(attempt.control.partition)
        environment["CONTROL_OFFSET"] = String(attempt.control.offset)
        environment["TELEMETRY_PRODUCER_ID"] = DerivedName.producerID(
            target: step.target, queue: queue, instance: id.instance, attempt: attempt.id.number)
        if let traceparent = state.traceparent { environment["TRACEPARENT"] = traceparent }
        if step.target.isConsumer {
            let derived = DerivedName.collection(symbol: symbol, type: step.type, firstDay: range.first)
            environment["COLLECTION_NAME"] = step.collectionName ?? derived?.rawValue
            environment["DEAD_LETTERS_MAX"] = String(step.deadLettersMax)
        }
        return environment
    }
}
