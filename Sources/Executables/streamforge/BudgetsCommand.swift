import ArgumentParser
import Workflow

struct Budgets: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the exchange's request weight: what is used, who holds it, bans.")

    @OptionGroup var flags: QueueManagerFlags

    func run() async throws {
        try await CommandFailure.reporting {
            let answer = try await flags.client().get("/exchange/budgets")
            if flags.json { return try Output.json(answer) }
            let budgets = answer["budgets"]?.items ?? []
            if budgets.isEmpty { return Output.line("No loader has asked the exchange yet.") }
            Output.line(budgets.map(Self.text).joined(separator: "\n\n"))
        }
    }

    private static func text(_ budget: JSONValue) -> String {
        let cell = { (name: String) in JSONValue.cell(budget[name]) }
        var lines = [
            "egress   \(cell("egress")), \(cell("exchange"))",
            "window   \(cell("window_seconds")) s, until \(cell("window_end"))",
            "weight   \(cell("used")) used of \(cell("limit")) (\(cell("usable")) usable), "
                + "\(cell("used_by_others")) by others, \(cell("leased")) leased, \(cell("free")) free",
        ]
        if let end = budget["banned_until"]?.string { lines.append("banned   until \(end)") }
        if let end = budget["backing_off_until"]?.string { lines.append("limited  until \(end)") }
        lines.append("waiting  \(cell("waiting"))")
        let leases = budget["leases"]?.items ?? []
        guard !leases.isEmpty else { return lines.joined(separator: "\n") }
        var table = TextTable(
            ["QUEUE", "STEP", "INSTANCE", "ATTEMPT", "GRANTED", "USED", "WAITING MS", "SILENT MS"],
            numberColumns: [3, 4, 5, 6, 7])
        for lease in leases {
            let fields = [
                "queue_id", "step", "instance", "attempt", "granted", "used", "waiting_ms", "silent_ms",
            ]
            table.add(fields.map { JSONValue.cell(lease[$0]) })
        }
        return (lines + ["", table.text]).joined(separator: "\n")
    }
}
