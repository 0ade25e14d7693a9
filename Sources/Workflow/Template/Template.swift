/// A workflow with named gaps: stored once, started many times with other parameters.
package struct Template: Sendable, Hashable {
    package var name: TemplateName
    /// 1, 2, 3 …; a version never changes.
    package var version: Int
    package var description: String
    /// In the order of their names.
    package var parameters: [TemplateParameter]
    /// The body of a start request, with `${name}` where parameters go.
    package var workflow: JSONValue

    package static let parametersMax = 50
    package static let descriptionBytesMax = 2_000

    package var reference: TemplateReference { TemplateReference(name: name, version: version) }

    /// Reads `{name, description?, parameters?, workflow}` and checks what can be checked without values.
    package init(_ json: JSONValue, version: Int) throws(RequestError) {
        let reader = try ObjectReader(
            json, path: "", known: ["name", "description", "parameters", "workflow"])
        let nameText = try reader.requiredString("name", hint: TemplateName.rules)
        guard let name = TemplateName(nameText) else {
            throw reader.invalid("name", nameText, "It is no template name", hint: TemplateName.rules)
        }
        self.name = name
        self.version = version
        description = try reader.text("description", bytesMax: Self.descriptionBytesMax) ?? ""
        parameters = try Self.readParameters(reader)
        guard let workflow = reader.value("workflow") else {
            throw RequestError(
                .missingField, "workflow is missing", field: "workflow",
                hint: "The body of a start request, with ${name} where a parameter goes")
        }
        self.workflow = workflow
        try TemplateText.check(self)
    }

    private static func readParameters(_ reader: ObjectReader) throws(RequestError) -> [TemplateParameter] {
        guard let value = reader.value("parameters") else { return [] }
        guard case .object(let fields) = value, fields.count <= parametersMax else {
            throw reader.invalid(
                "parameters", value, hint: "An object of at most \(parametersMax) parameters by name")
        }
        var parameters: [TemplateParameter] = []
        for name in fields.keys.sorted() {
            guard TemplateParameter.isName(name) else {
                throw reader.invalid(
                    "parameters", name, "It is no name of a parameter", hint: TemplateParameter.nameRules)
            }
            parameters.append(
                try TemplateParameter(
                    name,
                    try ObjectReader(
                        fields[name] ?? .null, path: "parameters.\(name)", known: TemplateParameter.members)))
        }
        return parameters
    }

    package func parameter(_ name: String) -> TemplateParameter? { parameters.first { $0.name == name } }

    /// The parameters whose values appear nowhere in the workflow.
    package var unusedParameters: [String] {
        let used = TemplateText.placeholders(in: workflow)
        return parameters.map(\.name).filter { !used.contains($0) }
    }

    /// As it was sent; ``init(_:version:)`` reads it again.
    package var definition: JSONValue {
        .object([
            "name": .string(name.rawValue), "description": .string(description),
            "parameters": .object(
                Dictionary(parameters.map { ($0.name, $0.json) }, uniquingKeysWith: { first, _ in first })),
            "workflow": workflow,
        ])
    }
}

/// What a start request names: `historical_candles` for the newest version, `historical_candles@3` for one.
package struct TemplateReference: Sendable, Hashable, CustomStringConvertible {
    package var name: TemplateName
    /// nil: the newest.
    package var version: Int?

    package init(name: TemplateName, version: Int?) {
        self.name = name
        self.version = version
    }

    package init?(_ text: String) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first.flatMap({ TemplateName(String($0)) }) else { return nil }
        self.name = name
        guard parts.count == 2 else { return }
        guard let version = Int(parts[1]), version > 0, String(version) == parts[1] else { return nil }
        self.version = version
    }

    package var description: String { name.rawValue + (version.map { "@\($0)" } ?? "") }
}

/// The start request that uses a template: `{"template": "name" or "name@3", "parameters": {…}}`.
package struct TemplateRequest: Sendable, Hashable {
    package var reference: TemplateReference
    package var parameters: JSONValue

    /// nil when the body names no template.
    package init?(_ body: JSONValue) throws(RequestError) {
        guard let template = body.members?["template"], template != .null else { return nil }
        let reader = try ObjectReader(body, path: "", known: ["template", "parameters"])
        let text = try reader.requiredString("template", hint: "A name, or name@version")
        guard let reference = TemplateReference(text) else {
            throw reader.invalid(
                "template", text, "It names no template",
                hint: "historical_candles, or historical_candles@1; GET /templates lists them")
        }
        self.reference = reference
        parameters = reader.value("parameters") ?? .object([:])
    }
}

extension ObjectReader {
    /// A text for people: bounded, and free of the one character that no database takes.
    func text(_ name: String, bytesMax: Int) throws(RequestError) -> String? {
        guard let text = try string(name) else { return nil }
        guard text.utf8.count <= bytesMax, !text.utf8.contains(0) else {
            throw invalid(name, .string(text), hint: "At most \(bytesMax) bytes, none of them zero")
        }
        return text
    }
}
