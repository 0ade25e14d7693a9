import ArgumentParser
import Workflow

struct Models: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists and shows trained models, puts one into a stage, compares two, removes one.",
        subcommands: [
            ModelsList.self, ModelsShow.self, ModelsPromote.self, ModelsCompare.self, ModelsRemove.self,
        ],
        defaultSubcommand: ModelsList.self)
}

struct ModelsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists models by name, the newest version first.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "Only the versions of this name.")
    var name: String?
    @Option(help: "Only those in this stage: candidate, staging, production, archived.")
    var stage: String?
    @Option(help: "How many at most, 1 to 200.")
    var limit = 50
    @Option(help: "Begin after this one: next_after of the page before.")
    var after: String?

    func run() async throws {
        try await CommandFailure.reporting {
            let path = name.map { "/models/\($0.queryEncoded)" } ?? "/models"
            let marks = [("stage", stage), ("after", after)].compactMap { name, text in
                text.map { "&\(name)=\($0.queryEncoded)" }
            }
            let answer = try await flags.client().get("\(path)?limit=\(limit)\(marks.joined())")
            if flags.json { return try Output.json(answer) }
            let fields = ["name", "version", "stage", "task", "graph", "graph_helps", "created_at"]
            var table = TextTable(
                ["MODEL", "VERSION", "STAGE", "TASK", "GRAPH", "GRAPH HELPS", "CREATED"], numberColumns: [1])
            for model in answer["models"]?.items ?? [] {
                table.add(fields.map { JSONValue.cell(model[$0]) })
            }
            Output.line(table.text)
            if let next = answer["next_after"]?.string { Output.line("more: --after \(next)") }
        }
    }
}

struct ModelsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a version of a model with its measures and where its files are."
    )

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The model's name.")
    var name: String
    @Argument(help: "The number of a version, newest, or a stage.")
    var version = "newest"

    func run() async throws {
        try await CommandFailure.reporting {
            let answer = try await flags.client().get(
                "/models/\(name.queryEncoded)/\(version.queryEncoded)")
            if flags.json { return try Output.json(answer) }
            Output.line(
                "\(JSONValue.cell(answer["name"]))@\(JSONValue.cell(answer["version"]))  "
                    + "\(JSONValue.cell(answer["stage"]))  \(JSONValue.cell(answer["place"]))/"
                    + JSONValue.cell(answer["folder"]))
            Output.line(JSONValue.cell(answer["summary"]))
            Output.line("\n" + ModelText.measures(answer["metrics"] ?? .null))
        }
    }
}

struct ModelsPromote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Puts a version of a model into a stage; the one that is there is archived.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The model's name.")
    var name: String
    @Argument(help: "The number of a version, newest, or a stage.")
    var version: String
    @Argument(help: "candidate, staging, production or archived.")
    var stage: String

    func run() async throws {
        try await CommandFailure.reporting {
            let body = try MessageCodec.encode(JSONValue.object(["stage": .string(stage)]))
            let path = "/models/\(name.queryEncoded)/\(version.queryEncoded)/promote"
            let answer = try await flags.client().post(path, body)
            if flags.json { return try Output.json(answer) }
            let archived = answer["archived_version"]?.integer.map { ", version \($0) is archived" } ?? ""
            Output.line(
                "\(JSONValue.cell(answer["name"]))@\(JSONValue.cell(answer["version"])) is in "
                    + "\(JSONValue.cell(answer["stage"]))\(archived)")
        }
    }
}

struct ModelsCompare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Shows the measures of two versions of a model side by side.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The model's name.")
    var name: String
    @Argument(help: "The number of a version, newest, or a stage.")
    var first: String
    @Argument(help: "The other one.")
    var second: String

    func run() async throws {
        try await CommandFailure.reporting {
            let path = "/models/\(name.queryEncoded)/\(first.queryEncoded)/compare/\(second.queryEncoded)"
            let answer = try await flags.client().get(path)
            if flags.json { return try Output.json(answer) }
            Output.line(ModelText.comparison(answer["metrics"] ?? .null))
            if answer["is_same_test"] == .bool(false) {
                Output.line("\nThey were tested on different outcomes: the differences mean little.")
            }
        }
    }
}

struct ModelsRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes a version of a model with its files; not one in use.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "The model's name.")
    var name: String
    @Argument(help: "The number of the version.")
    var version: Int

    func run() async throws {
        try await CommandFailure.reporting {
            let answer = try await flags.client().delete("/models/\(name.queryEncoded)/\(version)")
            if flags.json { return try Output.json(answer) }
            Output.line("\(name)@\(version) is removed")
        }
    }
}

/// Measures of models as tables.
enum ModelText {
    static func measures(_ metrics: JSONValue) -> String {
        var table = TextTable(["MODEL", "MEASURE", "VALUE", "FROM", "TO"], numberColumns: [2, 3, 4])
        for (model, name, measure) in rows(metrics) {
            table.add([model, name] + ["value", "low", "high"].map { number(measure[$0]) })
        }
        return table.text
    }

    static func comparison(_ metrics: JSONValue) -> String {
        var table = TextTable(
            ["MODEL", "MEASURE", "FIRST", "SECOND", "DIFFERENCE"], numberColumns: [2, 3, 4])
        for (model, name, row) in rows(metrics) {
            let values = [row["first"]?["value"], row["second"]?["value"], row["difference"]]
            table.add([model, name] + values.map(number))
        }
        return table.text
    }

    private static func rows(_ metrics: JSONValue) -> [(String, String, JSONValue)] {
        (metrics.members ?? [:]).sorted { $0.key < $1.key }.flatMap { model, measures in
            (measures.members ?? [:]).sorted { $0.key < $1.key }.map { (model, $0.key, $0.value) }
        }
    }

    private static func number(_ value: JSONValue?) -> String {
        switch value {
        case .integer(let whole): return "\(whole)"
        case .number(let value): return "\((value * 10_000).rounded() / 10_000)"
        default: return ""
        }
    }
}
