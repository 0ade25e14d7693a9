import Workflow

/// What `POST /queues/validate` tells: the plan as it would run.
enum PlanAnswer {
    static func json(_ validation: StartQueue.Validation, _ cost: ExchangeCost) -> JSONValue {
        let plan = validation.plan
        return .object([
            "symbols": .array(plan.symbols.map { .string($0) }), "time_range": .string(plan.timeRange),
            "timeout_seconds": integer(plan.timeoutSeconds),
            "max_parallel": integer(plan.parallelMax.map(Int64.init)),
            "priority": .integer(Int64(plan.priority)),
            "transport": .string(plan.transport.rawValue),
            "template": plan.template.map { .string($0) } ?? .null,
            "instances": .integer(Int64(plan.instances.count)),
            "steps": .array(plan.steps.map { step($0, plan, cost) }), "edges": .array(edges(plan)),
            "estimate": PlanEstimate(plan, cost).json,
            "warnings": .array(validation.warnings.map(warning)),
        ])
    }

    private static func step(_ step: PlannedStep, _ plan: Plan, _ cost: ExchangeCost) -> JSONValue {
        var fields = QueueAnswer.planFields(step)
        let instances = plan.instances(of: step)
        fields["instances"] = .array(instances.map { instance($0, step, plan) })
        fields["attempts_max"] = .integer(Int64(step.attemptsMax))
        fields["retry"] = retry(step.retry)
        fields["timeout_seconds"] = integer(step.timeoutSeconds)
        fields["start_timeout_seconds"] = integer(step.startTimeoutSeconds)
        fields["heartbeat_timeout_seconds"] = integer(step.heartbeatTimeoutSeconds)
        fields["locks"] = .array(step.locks.map { .string($0.rawValue) })
        fields["semaphores"] = .array(step.semaphores.map { .string($0.rawValue) })
        if step.target.isConsumer {
            // Several instances may share one: told once, in the order of the instances.
            let names = instances.compactMap { $0.collectionName(of: step, in: plan) }
            var known: Set<String> = []
            fields["collections"] = .array(names.filter { known.insert($0).inserted }.map { .string($0) })
        }
        if step.target.isProducer, plan.transport == .dedicated {
            let topic = DerivedName.dataTopic(
                "<queue_id>", producingStep: step.id, producingStepCount: plan.producingStepCount)
            fields["topic"] = .string(topic)
            fields["dead_letter_topic"] = .string(DerivedName.deadLetterTopic(dataTopic: topic))
        }
        if step.target.isProducer { fields["estimate"] = PlanEstimate(step, of: plan, cost).json }
        return .object(fields)
    }

    private static func instance(
        _ instance: PlannedInstance, _ step: PlannedStep, _ plan: Plan
    ) -> JSONValue {
        var fields: [String: JSONValue] = [
            "instance": .string(instance.name), "symbol": .string(instance.symbol),
            "type": .string(instance.type),
            "interval": instance.interval.isEmpty ? .null : .string(instance.interval),
            "time_range": .string(instance.timeRange.description),
        ]
        if step.target.isProducer, plan.transport == .dedicated {
            fields["partition"] = .integer(Int64(instance.partition))
        }
        if step.target.isConsumer {
            fields["reads"] = .array(instance.inputs.map { .string($0) })
            fields["collection"] = instance.collectionName(of: step, in: plan).map { .string($0) } ?? .null
        }
        return .object(fields)
    }

    /// `stream`: both run together; `after` and `when`: the first is over before the second begins.
    private static func edges(_ plan: Plan) -> [JSONValue] {
        plan.steps.flatMap { step -> [JSONValue] in
            let edges: [(StepID, String)] =
                (step.input.map { [($0, "stream")] } ?? []) + step.after.map { ($0, "after") }
                + step.earlierSteps.filter { id in step.when.contains { $0.step == id } }.map { ($0, "when") }
            return edges.map { from, kind in
                JSONValue.object([
                    "from": .string(from.rawValue), "to": .string(step.id.rawValue), "kind": .string(kind),
                ])
            }
        }
    }

    private static func retry(_ policy: RetryPolicy) -> JSONValue {
        .object([
            "attempts_max": .integer(Int64(policy.attemptsMax)),
            "backoff_initial_seconds": .number(policy.backoffInitialSeconds),
            "backoff_max_seconds": .number(policy.backoffMaxSeconds),
            "multiplier": .number(policy.multiplier), "jitter": .number(policy.jitter),
            "final_reasons": .array(policy.finalReasons.map { .string($0.rawValue) }),
        ])
    }

    private static func warning(_ warning: PlanWarning) -> JSONValue {
        .object([
            "code": .string(warning.code.rawValue), "message": .string(warning.message),
            "field": .string(warning.field),
        ])
    }

    private static func integer(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }
}

extension PlanEstimate {
    /// How many trades there are is not known ahead: with them there is no most, only a least.
    var json: JSONValue {
        let most = ["records_max", "exchange_requests_max", "exchange_weight_max"]
        var fields: [String: JSONValue] = ["exchange_seconds": .integer(exchangeSeconds)]
        for (name, value) in zip(most, [records, exchangeRequests, exchangeWeight]) {
            fields[name] = isOpen ? .null : .integer(value)
        }
        if isOpen {
            fields["exchange_requests_min"] = .integer(exchangeRequests)
            fields["exchange_weight_min"] = .integer(exchangeWeight)
        }
        return .object(fields)
    }
}
