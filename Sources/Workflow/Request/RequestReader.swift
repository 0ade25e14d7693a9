/// Reads the fields of one JSON object, each with a clear error, and refuses fields it was not asked for.
package struct ObjectReader {
    private let fields: [String: JSONValue]
    /// Where the object stands, e.g. `steps[1]`; empty at the top.
    private let path: String
    private let known: [String]

    /// - Parameter known: every field this object may have.
    package init(_ value: JSONValue, path: String, known: [String]) throws(RequestError) {
        guard case .object(let fields) = value else {
            throw RequestError(
                .invalidValue, "\(path.isEmpty ? "The body" : path) must be an object",
                field: path.isEmpty ? nil : path, value: value.excerpt)
        }
        self.fields = fields
        self.path = path
        self.known = known
        if let unknown = fields.keys.sorted().first(where: { !known.contains($0) }) {
            throw RequestError(
                .unknownField, "There is no field \(unknown.prefix(80))",
                field: place(String(unknown.prefix(80))),
                hint: "Known here: \(known.joined(separator: ", "))")
        }
    }

    package func place(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
    package func has(_ name: String) -> Bool { value(name) != nil }

    /// nil when the field is absent or null.
    package func value(_ name: String) -> JSONValue? {
        guard let value = fields[name], value != .null else { return nil }
        return value
    }

    package func string(_ name: String) throws(RequestError) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.string else { throw invalid(name, value, hint: "Give a string") }
        return text
    }

    package func requiredString(_ name: String, hint: String) throws(RequestError) -> String {
        guard let text = try string(name) else {
            throw RequestError(.missingField, "\(place(name)) is missing", field: place(name), hint: hint)
        }
        return text
    }

    /// A string or a list of strings.
    package func strings(_ name: String, countMax: Int) throws(RequestError) -> [String]? {
        guard let value = value(name) else { return nil }
        if let text = value.string { return [text] }
        guard case .array(let values) = value else {
            throw invalid(name, value, hint: "Give a string or a list of strings")
        }
        guard values.count <= countMax else {
            throw invalid(name, value, hint: "At most \(countMax) entries")
        }
        var texts: [String] = []
        for (index, element) in values.enumerated() {
            guard let text = element.string else {
                throw invalid("\(name)[\(index)]", element, hint: "Give a string")
            }
            texts.append(text)
        }
        return texts
    }

    package func integer(_ name: String, in range: ClosedRange<Int>) throws(RequestError) -> Int? {
        guard let value = value(name) else { return nil }
        guard let number = value.integer, let number = Int(exactly: number), range.contains(number) else {
            throw invalid(
                name, value, hint: "Give a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package func number(_ name: String, in range: ClosedRange<Double>) throws(RequestError) -> Double? {
        guard let value = value(name) else { return nil }
        guard let number = value.double, range.contains(number) else {
            throw invalid(name, value, hint: "Give a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package func boolean(_ name: String) throws(RequestError) -> Bool? {
        guard let value = value(name) else { return nil }
        guard case .bool(let flag) = value else {
            throw invalid(name, value, hint: "Give true or false")
        }
        return flag
    }

    package func invalid(_ name: String, _ value: JSONValue, hint: String) -> RequestError {
        RequestError(
            .invalidValue, "\(place(name)) is not valid", field: place(name), value: value.excerpt, hint: hint
        )
    }

    package func invalid(_ name: String, _ value: String, _ message: String, hint: String) -> RequestError {
        RequestError(
            .invalidValue, message, field: place(name), value: JSONValue.string(value).excerpt, hint: hint)
    }
}
