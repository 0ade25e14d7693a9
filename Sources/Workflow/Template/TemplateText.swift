/// A text of a template, cut where parameters go: `${name}` stands for one, `$${` for `${` itself.
enum TemplateText {
    enum Part: Hashable {
        case text(String)
        case parameter(String)
        /// `${` that nothing closes, or with a name that none can have.
        case broken(String)
    }

    static func parts(of text: String) -> [Part] {
        var parts: [Part] = []
        var plain = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            plain += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                plain += "${"
                rest = rest.dropFirst(3)
            } else if rest.hasPrefix("${") {
                let inside = rest.dropFirst(2)
                let name = String(inside.prefix { $0 != "}" })
                guard name.count < inside.count, TemplateParameter.isName(name) else {
                    return [.broken(String(rest.prefix(80)))]
                }
                if !plain.isEmpty { parts.append(.text(plain)) }
                plain = ""
                parts.append(.parameter(name))
                rest = inside.dropFirst(name.count + 1)
            } else {
                plain += "$"
                rest = rest.dropFirst()
            }
        }
        plain += rest
        if !plain.isEmpty || parts.isEmpty { parts.append(.text(plain)) }
        return parts
    }

    /// The names of all parameters in a value.
    static func placeholders(in value: JSONValue) -> Set<String> {
        var names: Set<String> = []
        visit(value, at: "") { text, _ in
            for case .parameter(let name) in parts(of: text) { names.insert(name) }
        }
        return names
    }

    /// Refuses a workflow whose gaps no parameter can fill.
    static func check(_ template: Template) throws(RequestError) {
        guard case .object = template.workflow else {
            throw RequestError(
                .invalidValue, "workflow must be an object", field: "workflow",
                value: template.workflow.excerpt)
        }
        var problem: RequestError?
        visit(template.workflow, at: "workflow") { text, place in
            if problem == nil { problem = self.problem(with: text, at: place, template) }
        }
        if let problem { throw problem }
        if holdsZeroInNames(template.workflow) {
            throw RequestError(
                .invalidValue, "A name in the workflow holds a zero byte", field: "workflow",
                hint: "Leave it out")
        }
    }

    private static func holdsZeroInNames(_ value: JSONValue) -> Bool {
        switch value {
        case .object(let members):
            members.contains { $0.key.utf8.contains(0) || holdsZeroInNames($0.value) }
        case .array(let items): items.contains(where: holdsZeroInNames)
        case .null, .bool, .integer, .number, .string: false
        }
    }

    private static func problem(with text: String, at place: String, _ template: Template) -> RequestError? {
        func refused(_ message: String, _ hint: String) -> RequestError {
            RequestError(
                .invalidValue, message, field: place, value: JSONValue.string(text).excerpt, hint: hint)
        }
        if text.utf8.contains(0) { return refused("It holds a zero byte", "Leave it out") }
        let parts = parts(of: text)
        for part in parts {
            switch part {
            case .text: continue
            case .broken(let rest):
                return refused(
                    "\(rest) names no parameter",
                    "${name} with \(TemplateParameter.nameRules); ${ itself is written $${")
            case .parameter(let name):
                guard let parameter = template.parameter(name) else {
                    let names = template.parameters.map(\.name).joined(separator: ", ")
                    return refused(
                        "There is no parameter \(name)",
                        names.isEmpty ? "The template has none" : "Parameters: \(names)")
                }
                guard parts.count > 1 else { continue }
                if parameter.kind == .symbols {
                    return refused(
                        "A list of symbols cannot stand inside a text", "Let ${\(name)} be the whole value")
                }
                if !parameter.isRequired, parameter.fallback == nil {
                    return refused(
                        "\(name) may be missing, and then there is nothing to put into the text",
                        "Give it a default, or let ${\(name)} be the whole value")
                }
            }
        }
        return nil
    }

    /// Every text of a value with its place, e.g. `steps[0].id`.
    private static func visit(_ value: JSONValue, at place: String, _ body: (String, String) -> Void) {
        switch value {
        case .string(let text): body(text, place)
        case .array(let items):
            for (index, item) in items.enumerated() { visit(item, at: "\(place)[\(index)]", body) }
        case .object(let members):
            for name in members.keys.sorted() {
                visit(members[name] ?? .null, at: place.isEmpty ? name : "\(place).\(name)", body)
            }
        case .null, .bool, .integer, .number: break
        }
    }
}
