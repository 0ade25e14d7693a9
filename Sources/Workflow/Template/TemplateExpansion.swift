/// A template with its gaps filled: the body of a start request.
package struct TemplateExpansion: Sendable {
    package let template: Template
    package private(set) var body: JSONValue = .null
    /// The parameters whose values went into a place, e.g. `steps[0].type`.
    private var origins: [String: [String]] = [:]
    private var values: [String: JSONValue] = [:]
    private var bytesLeft = Self.bytesMax

    /// What parameters may add to a workflow: a short text that is used often is long in the end.
    package static let bytesMax = 1 << 20

    /// - Throws: ``RequestError`` that names the parameter, its value and what would be right.
    package init(_ template: Template, parameters: JSONValue) throws(RequestError) {
        self.template = template
        values = try Self.values(template, parameters)
        body = try expand(template.workflow, at: "")
    }

    private static func values(
        _ template: Template, _ parameters: JSONValue
    ) throws(RequestError) -> [String: JSONValue] {
        let reader = try ObjectReader(
            parameters, path: "parameters", known: template.parameters.map(\.name))
        var values: [String: JSONValue] = [:]
        for parameter in template.parameters {
            let place = reader.place(parameter.name)
            if let value = reader.value(parameter.name) {
                values[parameter.name] = try parameter.checked(value, at: place)
            } else if parameter.isRequired {
                throw RequestError(
                    .missingField, "The parameter \(parameter.name) is missing", field: place,
                    hint: parameter.hint)
            } else {
                values[parameter.name] = parameter.fallback ?? .null
            }
        }
        return values
    }

    private mutating func expand(_ value: JSONValue, at place: String) throws(RequestError) -> JSONValue {
        switch value {
        case .string(let text): return try expand(text, at: place)
        case .array(let items):
            var expanded: [JSONValue] = []
            for (index, item) in items.enumerated() {
                expanded.append(try expand(item, at: "\(place)[\(index)]"))
            }
            return .array(expanded)
        case .object(let members):
            var expanded: [String: JSONValue] = [:]
            for (name, member) in members {
                expanded[name] = try expand(member, at: place.isEmpty ? name : "\(place).\(name)")
            }
            return .object(expanded)
        case .null, .bool, .integer, .number: return value
        }
    }

    /// A whole value keeps its type; inside a text it is written out.
    private mutating func expand(_ text: String, at place: String) throws(RequestError) -> JSONValue {
        let parts = TemplateText.parts(of: text)
        if parts.count == 1, case .parameter(let name) = parts[0] {
            origins[place] = [name]
            let value = values[name] ?? .null
            try spend(value)
            return value
        }
        var written = ""
        for part in parts {
            switch part {
            case .text(let plain): written += plain
            case .broken(let rest): written += rest
            case .parameter(let name):
                origins[place, default: []].append(name)
                let value = values[name] ?? .null
                try spend(value)
                written += Self.text(of: value)
            }
        }
        return .string(written)
    }

    private mutating func spend(_ value: JSONValue) throws(RequestError) {
        switch value {
        case .string(let text): bytesLeft -= text.utf8.count
        case .array(let items): for item in items { try spend(item) }
        case .object(let members): for member in members.values { try spend(member) }
        case .null, .bool, .integer, .number: bytesLeft -= 8
        }
        guard bytesLeft >= 0 else {
            throw RequestError(
                .tooLarge, "The parameters add more than \(Self.bytesMax) bytes to \(template.reference)",
                field: "parameters", hint: "Give shorter ones")
        }
    }

    private static func text(of value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .bool(let flag): String(flag)
        case .integer(let number): String(number)
        case .number(let number): String(number)
        case .null, .array, .object: ""
        }
    }

    /// Tells an error in the expanded body with its place in the template, and which parameter led to it.
    package func explain(_ error: RequestError) -> RequestError {
        var error = error
        let place = error.field ?? ""
        let names = parameters(at: place)
        error.field = place.isEmpty ? "workflow" : "workflow.\(place)"
        let cause =
            names.isEmpty
            ? "" : ", from the parameter\(names.count == 1 ? "" : "s") \(names.joined(separator: ", "))"
        error.message += " (in template \(template.reference)\(cause))"
        return error
    }

    /// Those whose values stand at the place, around it or in it.
    private func parameters(at place: String) -> [String] {
        guard !place.isEmpty else { return [] }
        func isWithin(_ inner: String, _ outer: String) -> Bool {
            inner == outer || inner.hasPrefix(outer + ".") || inner.hasPrefix(outer + "[")
        }
        let found = origins.filter { isWithin(place, $0.key) || isWithin($0.key, place) }
        return Set(found.values.joined()).sorted()
    }
}
