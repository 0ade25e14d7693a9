import ArgumentParser
import Foundation
import Workflow

struct ScheduleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schedule", abstract: "Starts queues by the clock.",
        discussion: "The page docs/schedules.md says when a schedule fires and what its options do.",
        subcommands: [
            Create.self, Replace.self, List.self, Show.self, Pause.self, Resume.self, Trigger.self,
            Delete.self,
        ])

    /// What a schedule is made of.
    struct Flags: ParsableArguments {
        @Option(help: "Minute, hour, day of month, month, day of week, e.g. '30 2 * * *', or @daily.")
        var cron: String
        @Option(help: "Where the clock hangs, e.g. Europe/Berlin. Default: UTC.")
        var timeZone: String?
        @OptionGroup(title: "Request") var request: RequestFlags
        @Option(help: "Days to load, with the short form.")
        var timeRange = "${schedule.day-1}:${schedule.day-1}"
        @Option(help: "While the queue before still runs: allow, skip, queue_one or stop_previous.")
        var overlap: String?
        @Option(help: "A firing that is later than so many seconds is missed.")
        var catchUpSeconds: Int64?
        @Option(help: "Of late firings start so many of the newest.")
        var catchUpMax: Int64?
        @Option(help: "Put each firing off by up to so many seconds.")
        var jitterSeconds: Int64?
        @Option(help: "The last fire time, UTC, e.g. 2025-12-31T23:59:59Z.")
        var until: String?
        @Option(help: "End after so many firings.")
        var count: Int64?

        func body(name: String) throws -> [UInt8] {
            try MessageCodec.encode(
                JSONValue.fields([
                    "name": .string(name), "cron": .string(cron),
                    "time_zone": timeZone.map { .string($0) },
                    "request": try request.request(timeRange: timeRange),
                    "overlap": overlap.map { .string($0) },
                    "catch_up_seconds": catchUpSeconds.map { .integer($0) },
                    "catch_up_max": catchUpMax.map { .integer($0) },
                    "jitter_seconds": jitterSeconds.map { .integer($0) },
                    "until": until.map { .string($0) }, "count": count.map { .integer($0) },
                ]))
        }
    }

    static func path(_ name: String) -> String { "/schedules/\(name.queryEncoded)" }

    static func print(_ answer: JSONValue, _ flags: QueueManagerFlags) throws {
        if flags.json { return try Output.json(answer) }
        Output.line(ScheduleText.whole(answer))
    }
}

extension ScheduleCommand {
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes a new schedule.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "Its name: a-z, 0-9, _ and -.")
        var name: String
        @OptionGroup var schedule: Flags

        func run() async throws {
            try await CommandFailure.reporting {
                let answer = try await flags.client().post("/schedules", try schedule.body(name: name))
                try ScheduleCommand.print(answer, flags)
            }
        }
    }

    struct Replace: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives a schedule a new form, or makes it where there is none.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The schedule's name.")
        var name: String
        @OptionGroup var schedule: Flags

        func run() async throws {
            try await CommandFailure.reporting {
                let answer = try await flags.client().put(
                    ScheduleCommand.path(name), try schedule.body(name: name))
                try ScheduleCommand.print(answer, flags)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists schedules by name.")

        @OptionGroup var flags: QueueManagerFlags
        @Option(help: "How many at most, 1 to 200.")
        var limit = 50
        @Option(help: "Begin after this mark: next_after of the page before.")
        var after: String?

        func run() async throws {
            try await CommandFailure.reporting {
                let mark = after.map { "&after=\($0.queryEncoded)" } ?? ""
                let answer = try await flags.client().get("/schedules?limit=\(limit)\(mark)")
                if flags.json { return try Output.json(answer) }
                var table = TextTable(["SCHEDULE", "CRON", "TIME ZONE", "OVERLAP", "NEXT", "PAUSED"])
                for schedule in answer["schedules"]?.items ?? [] {
                    let fields = ["name", "cron", "time_zone", "overlap", "next_fire_time", "is_paused"]
                    table.add(fields.map { JSONValue.cell(schedule[$0]) })
                }
                Output.line(table.text)
                if let next = answer["next_after"]?.string { Output.line("more: --after \(next)") }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows a schedule, its next fire times and its last firings.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The schedule's name.")
        var name: String

        func run() async throws {
            try await CommandFailure.reporting {
                try ScheduleCommand.print(try await flags.client().get(ScheduleCommand.path(name)), flags)
            }
        }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets a schedule start nothing until it is resumed; what runs goes on.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The schedule's name.")
        var name: String
        @Option(help: "Why, for the others.")
        var reason: String?

        func run() async throws {
            try await CommandFailure.reporting {
                let body = try MessageCodec.encode(JSONValue.fields(["reason": reason.map { .string($0) }]))
                let answer = try await flags.client().post(ScheduleCommand.path(name) + "/pause", body)
                try ScheduleCommand.print(answer, flags)
            }
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets a paused schedule go on with its next fire time.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The schedule's name.")
        var name: String

        func run() async throws {
            try await CommandFailure.reporting {
                let answer = try await flags.client().post(ScheduleCommand.path(name) + "/resume")
                try ScheduleCommand.print(answer, flags)
            }
        }
    }

    struct Trigger: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Starts a schedule's request now, whatever runs and also while it is paused.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The schedule's name.")
        var name: String
        @Option(help: "The same key gives the same firing, however often it is sent.")
        var idempotencyKey: String?

        func run() async throws {
            try await CommandFailure.reporting {
                let answer = try await flags.client().post(
                    ScheduleCommand.path(name) + "/trigger", headers: .idempotency(idempotencyKey))
                if flags.json { return try Output.json(answer) }
                Output.line("\(name) fired for \(JSONValue.cell(answer["fire_time"]))")
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes a schedule and its firings; queues it started go on.")

        @OptionGroup var flags: QueueManagerFlags
        @Argument(help: "The schedule's name.")
        var name: String

        func run() async throws {
            try await CommandFailure.reporting {
                let answer = try await flags.client().delete(ScheduleCommand.path(name))
                if flags.json { return try Output.json(answer) }
                Output.line("\(name) deleted")
            }
        }
    }
}
