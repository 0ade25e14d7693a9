import ArgumentParser
import Foundation
import HTTPBridge
import Workflow

struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Starts a queue.",
        discussion: """
            Either the short form (--symbols, --type, --time-range, perhaps --transport: load and store), a template with its
            parameters (--template historical_candles --param symbols=BTCUSDT,ETHUSDT), or a whole request
            (--file, - for standard input).
            """)
    /// The queue-manager may be restarted while we wait for a queue.
    private static let unreachableMax = Duration.seconds(60)
    private static let pollInterval = Duration.milliseconds(300)

    @OptionGroup var flags: QueueManagerFlags
    @Option(help: "Trading pairs, commas between, e.g. BTCUSDT,ETHUSDT.")
    var symbols: String?
    @Option(help: "What to load, e.g. api_candles_5m.")
    var type: String?
    @Option(help: "First and last day, UTC, both included, e.g. 2024-08-01:2024-08-07.")
    var timeRange: String?
    @Option(help: "How records get to the store: \(TransportFlag.words).")
    var transport: String?
    @Option(help: "A file with the request as JSON, or - for standard input.")
    var file: String?
    @Option(help: "A stored workflow: name for the newest version, or name@version.")
    var template: String?
    @Option(help: "A parameter of the template, name=value; may be repeated.")
    var param: [String] = []
    @Option(help: "The same key gives the same queue, however often it is sent.")
    var idempotencyKey: String?
    @Flag(help: "Wait until the queue is final; exit status 2 unless it is finished.")
    var wait = false
    @Option(help: "With --wait: give up after so many seconds.")
    var waitLimit = 86_400

    func validate() throws {
        let needed = [symbols, type, timeRange]
        let short = needed + [transport]
        try TransportFlag.check(transport)
        if let wrong = param.first(where: { TemplateArguments.split($0) == nil }) {
            throw ValidationError("--param \(wrong): give name=value")
        }
        guard template != nil || param.isEmpty else { throw ValidationError("--param belongs to --template") }
        guard file == nil, template == nil else {
            guard short.allSatisfy({ $0 == nil }), file == nil || template == nil else {
                throw ValidationError(
                    "\(file == nil ? "--template" : "--file") makes the whole request: "
                        + "leave the other flags out"
                )
            }
            return
        }
        guard needed.allSatisfy({ $0 != nil }) else {
            throw ValidationError("give --symbols, --type and --time-range, or --template, or --file")
        }
    }

    func run() async throws {
        try await CommandFailure.reporting {
            let client = try flags.client()
            var headers: HTTPHeaders = [:]
            headers["Idempotency-Key"] = idempotencyKey
            let answer = try await client.post("/queues/start", try await body(client), headers: headers)
            guard let id = answer["queue_id"]?.string else {
                throw CommandFailure(status: Status.refused, message: "the answer holds no queue_id")
            }
            guard wait else {
                return flags.json
                    ? try Output.json(answer) : Output.line("\(id) \(QueueText.status(answer))")
            }
            Output.note(id)
            let queue = try await waitUntilFinal(id, client)
            if flags.json { try Output.json(queue) } else { Output.line(QueueText.whole(queue)) }
            if QueueText.status(queue) != "finished" { throw Status.notFinished }
        }
    }

    private func body(_ client: QueueManagerClient) async throws -> [UInt8] {
        if let file { return try InputFile.read(file) }
        if let template {
            return try MessageCodec.encode(try await TemplateArguments.body(template, param, client))
        }
        let list = (symbols ?? "").split(separator: ",").map { JSONValue.string(String($0)) }
        return try MessageCodec.encode(
            JSONValue.fields([
                "symbols": .array(list), "type": .string(type ?? ""), "time_range": .string(timeRange ?? ""),
                "transport": transport.map { .string($0) },
            ]))
    }

    private func waitUntilFinal(_ id: String, _ client: QueueManagerClient) async throws -> JSONValue {
        let start = ContinuousClock.now
        var lastAnswer = start
        var shown = ""
        while start.duration(to: .now) < .seconds(waitLimit) {
            do {
                let queue = try await client.get("/queues/\(id)")
                lastAnswer = .now
                let seconds = start.duration(to: .now).components.seconds
                let text = QueueText.progress(queue, seconds: seconds)
                if text != shown { Output.progress(text) }
                shown = text
                if QueueText.finalStatuses.contains(QueueText.status(queue)) {
                    Output.endProgress()
                    return queue
                }
            } catch let failure as CommandFailure where failure.isRetriable {
                guard lastAnswer.duration(to: .now) < Self.unreachableMax else { throw failure }
            }
            try await Task.sleep(for: Self.pollInterval)
        }
        Output.endProgress()
        throw CommandFailure(
            status: Status.notFinished, message: "\(id) is not final after \(waitLimit) s; it goes on")
    }
}
