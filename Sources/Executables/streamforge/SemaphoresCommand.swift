import ArgumentParser
import Workflow

struct Semaphores: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows locks, semaphores and limits: who has them, who waits; sets a semaphore.")

    @Option(help: ArgumentHelp("Set a semaphore, e.g. exchange=2.", valueName: "name=permits"))
    var set: String?

    @Option(
        help: ArgumentHelp("Forget what was set for a semaphore: it has one permit then.", valueName: "name"))
    var unset: String?

    @OptionGroup var flags: QueueManagerFlags

    func validate() throws {
        if set != nil, unset != nil { throw ValidationError("Give --set or --unset") }
        if let set, Self.assignment(set) == nil {
            throw ValidationError("--set: give a name and a number from 1, e.g. exchange=2")
        }
        if let unset, ResourceName(unset) == nil {
            throw ValidationError("--unset: a name is \(ResourceName.rules)")
        }
    }

    func run() async throws {
        try await CommandFailure.reporting {
            let client = try flags.client()
            if let (name, permits) = set.flatMap(Self.assignment) {
                let body = try MessageCodec.encode(JSONValue.object(["permits": .integer(permits)]))
                return try show(try await client.put("/semaphores/\(name)", body))
            }
            if let unset { return try show(try await client.delete("/semaphores/\(unset)")) }
            let answer = try await client.get("/semaphores?limit=200")
            if flags.json { return try Output.json(answer) }
            let rows = answer["semaphores"]?.items ?? []
            if rows.isEmpty { return Output.line("Nothing is set, held or waited for.") }
            Output.line(Self.text(rows))
        }
    }

    private func show(_ answer: JSONValue) throws {
        if flags.json { return try Output.json(answer) }
        Output.line("\(JSONValue.cell(answer["name"])) has \(JSONValue.cell(answer["permits"])) permits")
    }

    private static func assignment(_ text: String) -> (name: ResourceName, permits: Int64)? {
        let parts = text.split(separator: "=").map(String.init)
        guard parts.count == 2, let name = ResourceName(parts[0]), let permits = Int64(parts[1]), permits > 0
        else { return nil }
        return (name, permits)
    }

    private static func text(_ rows: [JSONValue]) -> String {
        var table = TextTable(
            ["RESOURCE", "PERMITS", "HELD", "WAITING", "", "QUEUE", "STEP", "INSTANCE", "SINCE"],
            numberColumns: [1, 2, 3])
        let fields = ["queue_id", "step", "instance", "since"]
        for row in rows {
            let users = ["holds": "holders", "waits": "waiters"].sorted { $0.key < $1.key }.flatMap {
                word, field in
                (row[field]?.items ?? []).map { user in [word] + fields.map { JSONValue.cell(user[$0]) } }
            }
            var head = ["resource", "permits", "held", "waiting"].map { JSONValue.cell(row[$0]) }
            for cells in users.isEmpty ? [["", "", "", "", ""]] : users {
                table.add(head + cells)
                head = ["", "", "", ""]
            }
        }
        return table.text
    }
}
