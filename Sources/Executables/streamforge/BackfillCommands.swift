import ArgumentParser
import Foundation
import Workflow

struct BackfillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backfill", abstract: "Loads a long range of days in shards, some at a time.",
        subcommands: [
            Preview.self, Start.self, List.self, Show.self, Shards.self, Pause.self, Resume.self, Cancel.self,
            Retry.self,
        ])

    /// What a backfill is made of.
    struct Flags: ParsableArguments {
        @Option(help: "First and last day, UTC, both included, e.g. 2020-01-01:2024-12-31.")
        var timeRange: String
        @Option(help: "Days that one queue loads.")
        var shardDays: Int64
        @Option(help: "Queues at the same time, 1 to 100.")
        var parallelism: Int64?
        @OptionGroup(title: "Request (without time_range)") var request: RequestFlags

        func body(name: String?) throws -> [UInt8] {
            try MessageCodec.encode(
                JSONValue.fields([
                    "name": name.map { .string($0) }, "time_range": .string(timeRange),
                    "shard_days": .integer(shardDays), "parallelism": parallelism.map { .integer($0) },
                    "request": try request.request(timeRange: nil),
                ]))
        }
    }

    static func path(_ name: String) -> String { "/backfills/\(name.queryEncoded)" }

    static func print(_ answer: JSONValue, _ flags: QueueManagerFlags) throws {
        if flags.json { return try Output.json(answer) }
        Output.line(ScheduleText.backfill(answer))
    }
}

extension BackfillCommand {
    struct Preview: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tells what a backfill would do and cost; creates nothing.")

        @OptionGroup var flags: QueueManagerFlags
        @OptionGroup var backfill: Flags

        func run() async throws {
            try await CommandFailure.reporting {
                let answer = try await flags.client().post("/backfills/preview", try backfill.body(name: nil))
                if flags.json { return try Output.json(answer) }
                let shards = (answer["shards"]?.items ?? []).map { JSONValue.cell($0) }
                let estimate = answer["estimate"]
                Output.line("shards    \(JSONValue.cell(answer["shard_count"])), a queue each")
                Output.line("first     \(shards.prefix(3).joined(separator: "  "))")
                Output.line("records   at most \(JSONValue.cell(estimate?["records_max"]))")
                Output.line("weight    at most \(JSONValue.cell(estimate?["exchange_weight_max"]))")
                Output.line("time      at least \(JSONValue.cell(estimate?["exchange_seconds"])) s")
            }
        }
    }

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Starts a backfill.")

        @OptionGroup var flags: QueueManagerFlags
        @Option(help: "Its name: a-z, 0-9, _ and -. Default: one is made.")
        var name: String?
        @OptionGroup var backfill: Flags
        @Option(help: "The same key gives the same backfill, however often it is sent.")
        var idempotencyKey: String?

        func run() async throws {
            try await CommandFailure.reporting {
                let answer = try await flags.client().post(
                    "/backfills", try backfill.body(name: name), headers: .idempotency(idempotencyKey))
                try BackfillCommand.print(answer, flags)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists backfills, newest first.")

        @OptionGroup var flags: QueueManagerFlags
        @Option(help: "How many at most, 1 to 200.")
        var limit = 50
        @Option(help: "Begin after this mark: next_after of the page before.")
        var after: String?

        func run() async throws {
            try await CommandFailure.reporting {
                let mark = after.map { "&after=\($0.queryEncoded)" } ?? ""
                let answer = try await flags.client().get("/backfills?limit=\(limit)\(mark)")
                if flags.json { return try Output.json(answer) }
                var table = TextTable(
                    ["BACKFILL", "STATE", "RANGE", "SHARDS", "CREATED", "ENDED"], numberColumns: [3])
                for backfill in answer["backfills"]?.items ?? [] {
                    let fields = ["name", "state", "time_range", "shard_count", "created_at", "ended_at"]
                    table.add(fields.map { JSONValue.cell(backfill[$0]) })
                }
                Output.line(table.text)
                if let next = answer["next_after"]?.string { Output.line("more: --after \(next)") }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows a backfill and how far it is.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The backfill's name.")
        var name: String

        func run() async throws {
            try await CommandFailure.reporting {
                try BackfillCommand.print(try await flags.client().get(BackfillCommand.path(name)), flags)
            }
        }
    }

    struct Shards: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the shards of a backfill with their queues.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The backfill's name.")
        var name: String
        @Option(help: "Only shards of this state, e.g. failed.")
        var state: String?
        @Option(help: "How many at most, 1 to 1000.")
        var limit = 200
        @Option(help: "Begin after this shard.")
        var after: Int64 = 0

        func run() async throws {
            try await CommandFailure.reporting {
                let filter = state.map { "&state=\($0.queryEncoded)" } ?? ""
                let answer = try await flags.client().get(
                    BackfillCommand.path(name) + "/shards?limit=\(limit)&after=\(after)\(filter)")
                if flags.json { return try Output.json(answer) }
                var table = TextTable(
                    ["SHARD", "DAYS", "STATE", "TRY", "QUEUE", "REASON"], numberColumns: [0, 3])
                for shard in answer["shards"]?.items ?? [] {
                    let fields = ["shard", "days", "state", "try", "queue_id", "reason"]
                    table.add(fields.map { JSONValue.cell(shard[$0]) })
                }
                Output.line(table.text)
                if let next = answer["next_after"]?.integer { Output.line("more: --after \(next)") }
            }
        }
    }

    struct Pause: BackfillAction {
        static let action = "pause"
        static let configuration = CommandConfiguration(
            abstract: "Starts no further shards until resumed; queues that run go on.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The backfill's name.")
        var name: String
    }

    struct Resume: BackfillAction {
        static let action = "resume"
        static let configuration = CommandConfiguration(abstract: "Lets a paused backfill go on.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The backfill's name.")
        var name: String
    }

    struct Cancel: BackfillAction {
        static let action = "cancel"
        static let configuration = CommandConfiguration(
            abstract: "Stops the queues that run and ends the backfill.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The backfill's name.")
        var name: String
    }

    struct Retry: BackfillAction {
        static let action = "retry"
        static let configuration = CommandConfiguration(abstract: "Runs the failed shards again.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The backfill's name.")
        var name: String
    }
}

/// A request that moves one backfill; the queue-manager does the rest.
protocol BackfillAction: AsyncParsableCommand {
    /// The last part of the path, `POST /backfills/{name}/<action>`.
    static var action: String { get }
    var flags: QueueManagerFlags { get }
    var name: String { get }
}

extension BackfillAction {
    func run() async throws {
        try await CommandFailure.reporting {
            let answer = try await flags.client().post(BackfillCommand.path(name) + "/\(Self.action)")
            try BackfillCommand.print(answer, flags)
        }
    }
}
