import ArgumentParser
import Foundation
import Workflow

struct Templates: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists, shows and stores templates of workflows.",
        subcommands: [TemplatesList.self, TemplatesShow.self, TemplatesAdd.self])
}

struct TemplatesList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the newest version of each template, by name.")

    @OptionGroup var flags: QueueManagerFlags
    @Option(help: "How many at most, 1 to 200.")
    var limit = 50
    @Option(help: "Begin after this name: next_after of the page before.")
    var after: String?

    func run() async throws {
        try await CommandFailure.reporting {
            let mark = after.map { "&after=\($0.queryEncoded)" } ?? ""
            let answer = try await flags.client().get("/templates?limit=\(limit)\(mark)")
            if flags.json { return try Output.json(answer) }
            var table = TextTable(["TEMPLATE", "VERSION", "PARAMETERS", "DESCRIPTION"], numberColumns: [1])
            for template in answer["templates"]?.items ?? [] {
                let fields = ["name", "version", "parameters", "description"]
                table.add(fields.map { JSONValue.cell(template[$0]) })
            }
            Output.line(table.text)
            if let next = answer["next_after"]?.string { Output.line("more: --after \(next)") }
        }
    }
}

struct TemplatesShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a template with its parameters and its workflow.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "A name, or name@version.")
    var name: String

    func run() async throws {
        try await CommandFailure.reporting {
            let answer = try await flags.client().template(name)
            if flags.json { return try Output.json(answer) }
            Output.line(
                "\(JSONValue.cell(answer["name"]))@\(JSONValue.cell(answer["version"]))  "
                    + JSONValue.cell(answer["description"]))
            var table = TextTable(["PARAMETER", "TYPE", "REQUIRED", "DEFAULT", "DESCRIPTION"])
            for (name, parameter) in (answer["parameters"]?.members ?? [:]).sorted(by: { $0.key < $1.key }) {
                let fields = ["type", "required", "default", "description"]
                table.add([name] + fields.map { JSONValue.cell(parameter[$0]) })
            }
            Output.line("\n\(table.text)\n")
            try Output.json(answer["workflow"] ?? .null)
        }
    }
}

struct TemplatesAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Stores a template: a new name, or the next version of one.",
        discussion: "The same definition again is the same version.")

    @OptionGroup var flags: QueueManagerFlags
    @Argument(help: "A file with the definition as JSON, or - for standard input.")
    var file: String

    func run() async throws {
        try await CommandFailure.reporting {
            let answer = try await flags.client().post("/templates", try InputFile.read(file))
            if flags.json { return try Output.json(answer) }
            Output.line("\(JSONValue.cell(answer["name"]))@\(JSONValue.cell(answer["version"]))")
        }
    }
}

/// A file that a command line names; `-` is standard input.
enum InputFile {
    static func read(_ file: String) throws -> [UInt8] {
        do {
            let input =
                file == "-" ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(filePath: file))
            return Array(try input.readToEnd() ?? Data())
        } catch {
            throw CommandFailure(
                status: ExitCode.validationFailure,
                message: "\(file) cannot be read: \(error.localizedDescription)")
        }
    }
}

/// `name=value` pairs of a command line for a template.
enum TemplateArguments {
    /// Splits at the first `=`; nil where there is none.
    static func split(_ text: String) -> (name: String, value: String)? {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { return nil }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }

    /// The start request; values become what the template says they are.
    static func body(_ template: String, _ pairs: [String], _ client: QueueManagerClient) async throws
        -> JSONValue
    {
        let answer = try await client.template(template)
        var definition = answer.members ?? [:]
        definition = definition.filter { ["name", "parameters", "workflow"].contains($0.key) }
        let known = try? Template(.object(definition), version: 1)
        var parameters: [String: JSONValue] = [:]
        for (name, text) in pairs.compactMap(split) {
            // What is not known, or not right, is told by the queue-manager.
            parameters[name] = known?.parameter(name)?.value(ofText: text) ?? .string(text)
        }
        return .object(["template": .string(template), "parameters": .object(parameters)])
    }
}

extension QueueManagerClient {
    /// - Parameter reference: a name, or `name@version`.
    func template(_ reference: String) async throws -> JSONValue {
        let parts = reference.split(separator: "@", maxSplits: 1).map { String($0).queryEncoded }
        let version = parts.count == 2 ? "/versions/\(parts[1])" : ""
        return try await get("/templates/\(parts.first ?? "")\(version)")
    }
}
