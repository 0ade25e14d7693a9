import ArgumentParser
import Foundation
import Workflow

struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists queues, newest first.")

    @OptionGroup var flags: QueueManagerFlags
    @Option(help: "Only queues of this status, e.g. running.")
    var status: String?
    @Option(help: "Only queues with this symbol.")
    var symbol: String?
    @Option(help: "How many at most, 1 to 200.")
    var limit = 50
    @Option(help: "Begin after this mark: next_after of the page before.")
    var after: String?

    func run() async throws {
        try await CommandFailure.reporting {
            let filters = [("status", status), ("symbol", symbol), ("after", after), ("limit", "\(limit)")]
            let query = filters.compactMap { name, value in value.map { "\(name)=\($0.queryEncoded)" } }
            let answer = try await flags.client().get("/queues?\(query.joined(separator: "&"))")
            if flags.json { return try Output.json(answer) }
            var table = TextTable(["QUEUE", "STATUS", "RANGE", "CREATED", "FINISHED", "SYMBOLS"])
            for queue in answer["queues"]?.items ?? [] {
                let fields = ["queue_id", "status", "time_range", "created_at", "finished_at"]
                let symbols = (queue["symbols"]?.items ?? []).compactMap(\.string)
                let shown = symbols.prefix(3).joined(separator: ",")
                let more = symbols.count > 3 ? " and \(symbols.count - 3) more" : ""
                table.add(fields.map { JSONValue.cell(queue[$0]) } + [shown + more])
            }
            Output.line(table.text)
            if let next = answer["next_after"]?.string { Output.line("more: --after \(next)") }
        }
    }
}

struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows one queue with its instances.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The queue's id.")
    var id: String

    func run() async throws {
        try await CommandFailure.reporting {
            let queue = try await flags.client().get("/queues/\(id.queryEncoded)")
            if flags.json { return try Output.json(queue) }
            Output.line(QueueText.whole(queue))
        }
    }
}

/// A request that moves one queue; the queue-manager does the rest.
protocol QueueAction: AsyncParsableCommand {
    /// The last part of the path, `POST /queues/{queue_id}/<action>`.
    static var action: String { get }
    var flags: QueueManagerFlags { get }
    var id: String { get }
}

extension QueueAction {
    func run() async throws {
        try await CommandFailure.reporting {
            let answer = try await flags.client().post("/queues/\(id.queryEncoded)/\(Self.action)")
            if flags.json { return try Output.json(answer) }
            Output.line("\(id) \(JSONValue.cell(answer["status"]))")
        }
    }
}

struct Stop: QueueAction {
    static let action = "stop"
    static let configuration = CommandConfiguration(
        abstract: "Stops a queue: batches in hand are finished, then its workers end.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The queue's id.")
    var id: String
}

struct Terminate: QueueAction {
    static let action = "terminate"
    static let configuration = CommandConfiguration(
        abstract: "Stops a queue by force: its workers are killed.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The queue's id.")
    var id: String
}

struct Pause: QueueAction {
    static let action = "pause"
    static let configuration = CommandConfiguration(
        abstract: "Pauses a queue: its workers end in good order, none is started.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The queue's id.")
    var id: String
}

struct Resume: QueueAction {
    static let action = "resume"
    static let configuration = CommandConfiguration(
        abstract: "Lets a paused queue go on where it was.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The queue's id.")
    var id: String
}

struct Events: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints a queue's history.")
    private static let pageSize = 200

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The queue's id.")
    var id: String
    @Option(help: "Begin after this event number.")
    var after: Int64 = 0
    @Flag(help: "Stay and print new events until the queue is final.")
    var follow = false

    func run() async throws {
        try await CommandFailure.reporting {
            let client = try flags.client()
            if follow {
                return try await client.follow(id.queryEncoded, after: after, printEvent)
            }
            var next: Int64? = after
            while let number = next {
                let page = try await client.get(
                    "/queues/\(id.queryEncoded)/events?after=\(number)&limit=\(Self.pageSize)")
                for event in page["events"]?.items ?? [] { try printEvent(event) }
                next = page["next_after"]?.integer
            }
        }
    }

    /// With `--json` one object a line, so that a stream can be read as it comes.
    private func printEvent(_ event: JSONValue) throws {
        if flags.json {
            return Output.line(String(decoding: try MessageCodec.encode(event), as: UTF8.self))
        }
        let place = [event["step"], event["instance"], event["attempt"]].map { JSONValue.cell($0) }
        let worker = place[0].isEmpty ? "" : "\(place[0])[\(place[1])] attempt \(place[2])"
        let detail = event["detail"].flatMap { try? MessageCodec.encode($0) } ?? []
        let fields = [
            JSONValue.cell(event["number"]), JSONValue.cell(event["at"]), JSONValue.cell(event["kind"]),
            JSONValue.cell(event["actor"]), worker, String(decoding: detail, as: UTF8.self),
        ]
        Output.line(fields.filter { !$0.isEmpty }.joined(separator: "  "))
    }
}

extension String {
    /// Escaped for a path or query of a URL.
    var queryEncoded: String {
        let kept = CharacterSet(charactersIn: "-._~").union(
            CharacterSet(charactersIn: "A"..."Z").union(CharacterSet(charactersIn: "a"..."z"))
                .union(CharacterSet(charactersIn: "0"..."9")))
        return addingPercentEncoding(withAllowedCharacters: kept) ?? ""
    }
}
