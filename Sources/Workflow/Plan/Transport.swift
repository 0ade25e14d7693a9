/// How records get from a producing step to the one that stores them (design decision 7).
package enum Transport: String, Sendable, Hashable, Codable, CaseIterable {
    /// A topic for each producing step, which goes with the queue.
    case dedicated
    /// Topics that stay, read by connectors that all queues share.
    case shared
}

extension Plan {
    /// Whether connectors that all queues share do the work of a step: nothing of it is launched.
    package func isShared(_ step: StepID) -> Bool {
        transport == .shared && self.step(step)?.target.isConsumer == true
    }

    /// The instance that stores what a producing one writes to a shared topic; nil with any other transport.
    package func sink(of producer: InstanceID) -> InstanceID? {
        guard transport == .shared, step(producer.step)?.target.isProducer == true,
            let reader = steps.first(where: { $0.input == producer.step })
        else { return nil }
        return InstanceID(step: reader.id, instance: producer.instance)
    }
}

/// What must hold in a plan whose records share topics with those of other queues.
struct TransportChecks {
    let plan: Plan

    func check() throws(RequestError) {
        guard plan.transport == .shared else { return }
        let producers = plan.steps.filter(\.target.isProducer)
        guard !producers.isEmpty else {
            throw refused("no step of it produces records", "Leave transport out")
        }
        for producer in producers {
            let readers = plan.steps.filter { $0.input == producer.id }
            guard readers.count == 1, let reader = readers.first, reader.target == .arangoConnector else {
                throw refused(
                    "\(readers.count) steps read the records of \(producer.id)",
                    "With transport shared exactly one arango-connector step reads what a step produces")
            }
            guard reader.fanOut == producer.fanOut else {
                throw refused(
                    "\(reader.id) is not fanned out as \(producer.id) is",
                    "With transport shared one instance reads one: leave fan_out of \(reader.id) out")
            }
        }
        for (index, step) in plan.steps.enumerated() where step.target.isConsumer {
            try checkTimeouts(step, index)
        }
    }

    /// Nothing of such a step is launched, and nobody sends heartbeats for it.
    private func checkTimeouts(_ step: PlannedStep, _ index: Int) throws(RequestError) {
        let given = [
            ("start_timeout_seconds", step.startTimeoutSeconds),
            ("heartbeat_timeout_seconds", step.heartbeatTimeoutSeconds),
        ]
        for case (let field, let seconds?) in given {
            throw RequestError(
                .invalidValue, "\(step.id) is stored by shared connectors, which have no \(field)",
                field: "steps[\(index)].\(field)", value: String(seconds),
                hint: "Leave it out; timeout_seconds limits the whole of it")
        }
    }

    private func refused(_ message: String, _ hint: String) -> RequestError {
        RequestError(
            .invalidValue, "transport cannot be shared: \(message)", field: "transport",
            value: Transport.shared.rawValue, hint: hint)
    }
}
