import MarketData
import Workflow

/// JSON shapes of the API's answers (docs/http-api.md).
enum QueueAnswer {
    static func queue(_ queue: QueueRow, _ instances: [InstanceRow]) -> JSONValue {
        var fields = summaryFields(queue)
        fields["steps"] = .array(
            queue.plan.steps.map { step in
                self.step(step, instances.filter { $0.id.step == step.id })
            })
        return .object(fields)
    }

    /// What `POST /queues/validate` tells: the plan as it would run.
    static func plan(_ plan: Plan, _ estimate: PlanEstimate) -> JSONValue {
        let steps = plan.steps.map { step -> JSONValue in
            var fields = planFields(step)
            fields["instances"] = .integer(Int64(plan.partitionCount(of: step)))
            fields["attempts_max"] = .integer(Int64(step.attemptsMax))
            fields["timeout_seconds"] = step.timeoutSeconds.map { .integer($0) } ?? .null
            if step.target.isConsumer {
                fields["collections"] = .array(collections(of: step, plan).map { .string($0) })
            }
            return .object(fields)
        }
        return .object([
            "symbols": .array(plan.symbols.map { .string($0) }), "time_range": .string(plan.timeRange),
            "timeout_seconds": plan.timeoutSeconds.map { .integer($0) } ?? .null, "steps": .array(steps),
            "instances": .integer(Int64(plan.instances.count)),
            "estimate": .object([
                "records_max": .integer(estimate.records),
                "exchange_requests_max": .integer(estimate.exchangeRequests),
                "exchange_weight_max": .integer(estimate.exchangeWeight),
                "exchange_seconds": .integer(estimate.exchangeSeconds),
            ]),
        ])
    }

    /// One for all symbols when the request names it.
    private static func collections(of step: PlannedStep, _ plan: Plan) -> [String] {
        if let name = step.collectionName { return [name] }
        guard let range = DayRange(plan.timeRange) else { return [] }
        return plan.symbols.compactMap { Symbol($0) }.compactMap {
            DerivedName.collection(symbol: $0, type: step.type, firstDay: range.first)?.rawValue
        }
    }

    private static func planFields(_ step: PlannedStep) -> [String: JSONValue] {
        [
            "id": .string(step.id.rawValue), "target": .string(step.target.rawValue),
            "type": .string(step.type),
            "interval": step.interval.isEmpty ? .null : .string(step.interval),
            "input": text(step.input?.rawValue),
            "after": .array(step.after.map { .string($0.rawValue) }),
        ]
    }

    static func summary(_ queue: QueueRow) -> JSONValue { .object(summaryFields(queue)) }

    static func event(_ event: HistoryEvent) -> JSONValue {
        .object([
            "number": .integer(event.number), "at": .string(event.at), "kind": .string(event.kind),
            "actor": .string(event.actor), "step": text(event.step), "instance": text(event.instance),
            "attempt": event.attempt.map { .integer(Int64($0)) } ?? .null, "detail": event.detail,
        ])
    }

    private static func summaryFields(_ queue: QueueRow) -> [String: JSONValue] {
        [
            "queue_id": .string(queue.queueID.rawValue), "status": .string(queue.status.rawValue),
            "reason": text(queue.reason), "symbols": .array(queue.plan.symbols.map { .string($0) }),
            "time_range": .string(queue.plan.timeRange), "as_of": .integer(queue.asOf),
            "created_at": .string(queue.createdAt), "started_at": text(queue.startedAt),
            "finished_at": text(queue.finishedAt),
        ]
    }

    private static func step(_ step: PlannedStep, _ instances: [InstanceRow]) -> JSONValue {
        var fields = planFields(step)
        fields["instances"] = .array(instances.map(instance))
        return .object(fields)
    }

    private static func instance(_ row: InstanceRow) -> JSONValue {
        .object([
            "instance": .string(row.id.instance), "status": .string(row.machine.state.rawValue),
            "attempt": .integer(Int64(row.machine.attempt)),
            "failures": .integer(Int64(row.machine.failures)),
            "reason": text(row.machine.reason), "records_read": .integer(row.counts.recordsRead),
            "records_written": .integer(row.counts.recordsWritten),
            "duplicates": .integer(row.counts.duplicates),
            "dead_letters": .integer(row.counts.deadLetters), "last_key": text(row.counts.lastKey),
            "last_seq": row.counts.lastSeq.map { .integer($0) } ?? .null, "extra": row.extra ?? .null,
            "started_at": text(row.startedAt), "finished_at": text(row.finishedAt),
        ])
    }

    private static func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
}
