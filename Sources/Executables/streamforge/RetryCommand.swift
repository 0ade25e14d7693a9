import ArgumentParser
import Workflow

struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a failed or stopped queue run again; what is finished is kept.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The queue's id.")
    var id: String
    @Option(help: "Everything from this step on runs again, finished or not.")
    var from: String?

    func run() async throws {
        try await CommandFailure.reporting {
            let body = try from.map { try MessageCodec.encode(JSONValue.object(["from": .string($0)])) }
            let answer = try await flags.client().post("/queues/\(id.queryEncoded)/retry", body)
            if flags.json { return try Output.json(answer) }
            Output.line("\(id) \(JSONValue.cell(answer["status"])), run \(JSONValue.cell(answer["run"]))")
        }
    }
}
