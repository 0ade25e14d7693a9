import Workflow

/// JSON shapes of schedules and firings (docs/http-api.md).
enum ScheduleAnswer {
    static func summary(_ row: ScheduleRow) -> [String: JSONValue] {
        row.spec.json.merging([
            "name": .string(row.name.rawValue), "is_paused": .bool(row.isPaused),
            "pause_reason": text(row.pauseReason), "fired_count": .integer(Int64(row.firedCount)),
            "next_fire_time": row.nextFireTimes(1).first.map { time($0) } ?? .null,
            "created_at": .string(row.createdAt), "updated_at": .string(row.updatedAt),
        ]) { first, _ in first }
    }

    static func whole(_ row: ScheduleRow, _ firings: [FiringRow], nextFireTimes: [Int64]) -> JSONValue {
        var fields = summary(row)
        fields["next_fire_times"] = .array(nextFireTimes.map { time($0) })
        fields["firings"] = .array(firings.map(firing))
        return .object(fields)
    }

    static func firing(_ row: FiringRow) -> JSONValue {
        .object([
            "number": .integer(row.number), "fire_time": time(row.fireTime), "is_manual": .bool(row.isManual),
            "outcome": .string(row.state.rawValue), "reason": text(row.reason),
            "missed_count": .integer(Int64(row.missedCount)),
            "first_missed": row.firstMissed.map { time($0) } ?? .null,
            "queue_id": text(row.queueID?.rawValue), "queue_status": text(row.queueStatus),
            "tries": .integer(Int64(row.tries)), "changed_at": .string(row.changedAt),
        ])
    }

    private static func time(_ seconds: Int64) -> JSONValue { .string(UTCText.seconds(seconds)) }
    private static func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
}
