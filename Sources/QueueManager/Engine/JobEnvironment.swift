import Workflow

/// Makes what is special to an attempt in its worker's environment, from the plan (design "Environment of a
/// worker"). Holds no secrets.
package struct JobEnvironment: Sendable {
    package var controlTopic: String
    package var eventsTopic: String
    package var shared: SharedTopics

    package init(controlTopic: String, eventsTopic: String, shared: SharedTopics = SharedTopics()) {
        self.controlTopic = controlTopic
        self.shared = shared
        self.eventsTopic = eventsTopic
    }

    /// nil when the plan does not have the instance: a defect or a foreign row.
    func environment(of attempt: AttemptState, in state: QueueState) -> [String: String]? {
        let (plan, queue, id) = (state.plan, state.queueID, attempt.id.id)
        guard let step = plan.step(id.step), let instance = plan.instance(id) else {
            return nil
        }
        var environment = work(of: instance, step, plan)
        if let sources = step.model {
            environment.merge(ModelEnvironment(sources).variables(in: state)) { _, own in own }
        }
        environment["QUEUE_ID"] = queue.rawValue
        environment["STEP"] = step.id.rawValue
        environment["INSTANCE"] = instance.name
        environment["ATTEMPT"] = String(attempt.id.number)
        environment["TARGET"] = step.target.rawValue
        environment["AS_OF"] = String(state.asOf)
        if let route = route(of: id, step, state) {
            environment.merge(route) { _, shared in shared }
        } else {
            environment["KAFKA_TOPIC"] = DerivedName.dataTopic(
                queue, producingStep: step.input ?? step.id, producingStepCount: plan.producingStepCount,
                run: state.run)
            environment["KAFKA_PARTITIONS"] = partitions(of: instance, step, plan)
        }
        environment["QUEUE_CONTROL_TOPIC"] = controlTopic
        environment["QUEUE_EVENTS_TOPIC"] = eventsTopic
        environment["CONTROL_PARTITION"] = String(attempt.control.partition)
        environment["CONTROL_OFFSET"] = String(attempt.control.offset)
        environment["TELEMETRY_PRODUCER_ID"] = DerivedName.producerID(
            target: step.target, queue: queue, instance: instance.name, attempt: attempt.id.number)
        // Its heartbeats follow from it; without one the engine's own lease is passed on.
        environment["LEASE_SECONDS"] = step.heartbeatTimeoutSeconds.map { String($0) }
        if let traceparent = state.traceparent { environment["TRACEPARENT"] = traceparent }
        return environment
    }

    /// What it is to do.
    private func work(of instance: PlannedInstance, _ step: PlannedStep, _ plan: Plan) -> [String: String] {
        var environment = step.workerSettings ?? [:]
        environment["SYMBOL"] = instance.symbol
        if !step.fanOut.isBySymbol { environment["SYMBOLS"] = instance.symbols.joined(separator: ",") }
        environment["TYPE"] = instance.type
        environment["INTERVAL"] = instance.interval.isEmpty ? nil : instance.interval
        environment["TIME_RANGE"] = instance.timeRange.description
        if let sources = step.graph {
            environment["COLLECTION_INPUTS"] = plan.candleCollections(of: sources).joined(separator: ",")
            environment["TRADE_COLLECTION_INPUTS"] = plan.tradeCollections(of: sources)?.joined(
                separator: ",")
            environment["TRADE_TYPE"] = sources.tradeType
            environment["GRAPH_COLLECTION"] = sources.graph
        }
        if step.target.isConsumer {
            environment["COLLECTION_NAME"] = instance.collectionName(of: step, in: plan)
            environment["DEAD_LETTERS_MAX"] = String(step.deadLettersMax)
        }
        return environment
    }

    /// Over a shared topic a producer says in each record who is to store it, and goes on after the last record
    /// that the engine knows of; nil with any other transport.
    private func route(of id: InstanceID, _ step: PlannedStep, _ state: QueueState) -> [String: String]? {
        guard let sink = state.plan.sink(of: id), let reader = state.plan.step(sink.step),
            let stored = state.plan.instance(sink), let sinkState = state.instances[sink]
        else { return nil }
        var route = [
            "TRANSPORT": Transport.shared.rawValue, "KAFKA_TOPIC": shared.topic(of: step.target),
            "SINK_STEP": sink.step.rawValue, "SINK_INSTANCE": sink.instance,
            "SINK_ATTEMPT": String(sinkState.machine.attempt),
            "DEAD_LETTERS_MAX": String(reader.deadLettersMax),
        ]
        route["COLLECTION_NAME"] = stored.collectionName(of: reader, in: state.plan)
        if let counts = state.instances[id]?.counts, let key = counts.lastKey, let seq = counts.lastSeq,
            let first = state.instances[id]?.extra?["first_key"]?.string
        {
            route["RESUME_KEY"] = key
            route["RESUME_SEQ"] = String(seq)
            route["RESUME_FIRST_KEY"] = first
        }
        return route
    }

    /// Its own partition where it writes, those of its inputs where it reads.
    private func partitions(of instance: PlannedInstance, _ step: PlannedStep, _ plan: Plan) -> String {
        guard let input = step.input else { return String(instance.partition) }
        return instance.inputs.compactMap { name in
            plan.instance(InstanceID(step: input, instance: name)).map { String($0.partition) }
        }.joined(separator: ",")
    }
}
