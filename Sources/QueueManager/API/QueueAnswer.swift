import Workflow

/// JSON shapes of the API's answers (docs/http-api.md).
enum QueueAnswer {
    static func queue(
        _ queue: QueueRow, _ instances: [InstanceRow], waits: [InstanceID: WaitingFor] = [:]
    ) -> JSONValue {
        var fields = summaryFields(queue)
        fields["steps"] = .array(
            queue.plan.steps.map { step in
                self.step(step, instances.filter { $0.id.step == step.id }, waits)
            })
        return .object(fields)
    }

    static func planFields(_ step: PlannedStep) -> [String: JSONValue] {
        [
            "id": .string(step.id.rawValue), "target": .string(step.target.rawValue),
            "type": .string(step.type),
            "interval": step.interval.isEmpty ? .null : .string(step.interval),
            "input": text(step.input?.rawValue),
            "after": .array(step.after.map { .string($0.rawValue) }), "fan_out": step.fanOut.json,
            "when": .array(step.when.map(condition)),
        ]
    }

    private static func condition(_ condition: Condition) -> JSONValue {
        .object([
            "step": .string(condition.step.rawValue), "field": .string(condition.field.description),
            "op": .string(condition.comparison.rawValue), "value": condition.value,
        ])
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
            "run": .integer(Int64(queue.run)), "reason": text(queue.reason),
            "symbols": .array(queue.plan.symbols.map { .string($0) }),
            "time_range": .string(queue.plan.timeRange), "as_of": .integer(queue.asOf),
            "created_at": .string(queue.createdAt), "started_at": text(queue.startedAt),
            "finished_at": text(queue.finishedAt),
        ]
    }

    private static func step(
        _ step: PlannedStep, _ instances: [InstanceRow], _ waits: [InstanceID: WaitingFor]
    ) -> JSONValue {
        var fields = planFields(step)
        fields["instances"] = .array(instances.map { instance($0, waits[$0.id]) })
        return .object(fields)
    }

    private static func instance(_ row: InstanceRow, _ wait: WaitingFor?) -> JSONValue {
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
            "waiting_for": wait.map(ResourceAnswer.waitingFor) ?? .null,
        ])
    }

    private static func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
}
