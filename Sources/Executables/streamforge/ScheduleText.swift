import HTTPBridge
import Workflow

/// Schedules and backfills as text.
enum ScheduleText {
    static func whole(_ schedule: JSONValue) -> String {
        let isPaused = schedule["is_paused"] == .bool(true)
        let reason = JSONValue.cell(schedule["pause_reason"])
        let times = (schedule["next_fire_times"]?.items ?? []).map { JSONValue.cell($0) }
        var lines = rows([
            ("schedule", JSONValue.cell(schedule["name"])),
            ("cron", "\(JSONValue.cell(schedule["cron"])) (\(JSONValue.cell(schedule["time_zone"])))"),
            ("overlap", JSONValue.cell(schedule["overlap"])),
            ("paused", isPaused ? (reason.isEmpty ? "yes" : "yes: \(reason)") : "no"),
            ("next", times.joined(separator: " ")),
        ])
        let firings = schedule["firings"]?.items ?? []
        guard !firings.isEmpty else { return lines.joined(separator: "\n") }
        var table = TextTable(["FIRED FOR", "OUTCOME", "QUEUE", "STATUS", "REASON"])
        for firing in firings {
            let fields = ["fire_time", "outcome", "queue_id", "queue_status", "reason"]
            table.add(fields.map { JSONValue.cell(firing[$0]) })
        }
        lines += ["", table.text]
        return lines.joined(separator: "\n")
    }

    static func backfill(_ backfill: JSONValue) -> String {
        let progress = backfill["progress"]
        var share = ""
        switch progress?["share_done"] {
        case .number(let value): share = "\(Int((value * 100).rounded(.down))) %"
        case .integer(let value): share = "\(value * 100) %"
        default: break
        }
        let left = JSONValue.cell(progress?["seconds_left"])
        let states = ["waiting", "starting", "running", "finished", "failed", "cancelled"].compactMap {
            state in
            progress?["shards"]?[state]?.integer.flatMap { $0 > 0 ? "\($0) \(state)" : nil }
        }
        return rows([
            ("backfill", JSONValue.cell(backfill["name"])), ("state", JSONValue.cell(backfill["state"])),
            ("range", JSONValue.cell(backfill["time_range"])),
            ("shards", "\(JSONValue.cell(backfill["shard_count"])): \(states.joined(separator: ", "))"),
            ("done", share), ("left", left.isEmpty ? "" : "about \(left) s"),
        ]).joined(separator: "\n")
    }

    private static func rows(_ fields: [(String, String)]) -> [String] {
        fields.filter { !$0.1.isEmpty }.map { label, value in
            label + String(repeating: " ", count: 10 - label.count) + value
        }
    }
}

extension HTTPHeaders {
    static func idempotency(_ key: String?) -> HTTPHeaders {
        var headers: HTTPHeaders = [:]
        headers["Idempotency-Key"] = key
        return headers
    }
}
