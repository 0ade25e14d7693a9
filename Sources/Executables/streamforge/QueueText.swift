import Workflow

/// A queue's state as text.
enum QueueText {
    static let finalStatuses: Set<String> = ["finished", "failed", "stopped"]

    static func status(_ queue: JSONValue) -> String { queue["status"]?.string ?? "unknown" }

    static func whole(_ queue: JSONValue) -> String {
        var lines = ["queue     \(JSONValue.cell(queue["queue_id"]))"]
        let reason = JSONValue.cell(queue["reason"])
        lines.append("status    \(status(queue))" + (reason.isEmpty ? "" : ": \(reason)"))
        lines.append("range     \(JSONValue.cell(queue["time_range"]))")
        for name in ["created_at", "started_at", "finished_at"] {
            let time = JSONValue.cell(queue[name])
            let label = String(name.dropLast(3))
            let blanks = String(repeating: " ", count: 10 - label.count)
            if !time.isEmpty { lines.append(label + blanks + time) }
        }
        return (lines + ["", instances(queue)]).joined(separator: "\n")
    }

    /// One line for a running queue, e.g. `running  3 of 24 finished  12000 produced  11500 stored`.
    static func progress(_ queue: JSONValue, seconds: Int64) -> String {
        let steps = queue["steps"]?.items ?? []
        let all = steps.flatMap { $0["instances"]?.items ?? [] }
        let finished = all.count { $0["status"]?.string == "finished" }
        let read = sum(steps.filter { isConsumer($0) }, "records_read")
        let produced = sum(steps.filter { !isConsumer($0) }, "records_written")
        return "\(status(queue))  \(finished) of \(all.count) instances finished  \(produced) produced  "
            + "\(read) read  \(seconds) s"
    }

    private static func isConsumer(_ step: JSONValue) -> Bool { step["input"]?.string != nil }

    private static func sum(_ steps: [JSONValue], _ field: String) -> Int64 {
        steps.flatMap { $0["instances"]?.items ?? [] }.reduce(0) { $0 + ($1[field]?.integer ?? 0) }
    }

    private static func instances(_ queue: JSONValue) -> String {
        let fields = [
            "instance", "status", "attempt", "records_read", "records_written", "duplicates", "dead_letters",
            "reason",
        ]
        var table = TextTable(
            [
                "STEP", "INSTANCE", "STATUS", "ATTEMPT", "READ", "WRITTEN", "DUPLICATES", "DEAD LETTERS",
                "REASON",
            ], numberColumns: [3, 4, 5, 6, 7])
        for step in queue["steps"]?.items ?? [] {
            for instance in step["instances"]?.items ?? [] {
                var cells = fields.map { JSONValue.cell(instance[$0]) }
                if let wait = waiting(instance["waiting_for"]) { cells[cells.count - 1] = wait }
                table.add([JSONValue.cell(step["id"])] + cells)
            }
        }
        return table.text
    }

    /// `waiting for lock:gpu held by wf-… train[BTCUSDT]`; nil when it waits for nothing.
    private static func waiting(_ wait: JSONValue?) -> String? {
        guard let wait, let resource = wait["resource"]?.string else { return nil }
        let holders = (wait["held_by"]?.items ?? []).prefix(2).map { holder in
            let cell = { (name: String) in JSONValue.cell(holder[name]) }
            return "\(cell("queue_id")) \(cell("step"))[\(cell("instance"))]"
        }
        return "waiting for \(resource)"
            + (holders.isEmpty ? "" : " held by \(holders.joined(separator: ", "))")
    }
}
