import MarketData

/// A gap of a template: what may be put there.
package struct TemplateParameter: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case string, integer, number, boolean, symbol, symbols, interval
        case timeRange = "time_range"
        /// One of `values`.
        case choice = "enum"
    }

    package var name: String
    package var kind: Kind
    /// Taken when the request gives none.
    package var fallback: JSONValue?
    /// Bounds of an integer or a number.
    package var min: JSONValue?
    package var max: JSONValue?
    /// Of an enum.
    package var values: [String]
    package var description: String
    /// Whether a request must give it; else, without a default, the place stays empty.
    package var isRequired: Bool

    package static let textBytesMax = 1_000
    static let valuesMax = 100
    static let members = ["type", "default", "min", "max", "values", "description", "required"]
    static let nameRules = "1 to 63 of a-z, 0-9 and _, beginning with a letter"

    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 63, first.isLowerAlphanumeric,
            !first.isASCIIDigit
        else { return false }
        return text.utf8.allSatisfy { $0.isLowerAlphanumeric || $0 == UInt8(ascii: "_") }
    }

    init(_ name: String, _ reader: ObjectReader) throws(RequestError) {
        self.name = name
        let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let word = try reader.requiredString("type", hint: "One of \(kinds)")
        guard let kind = Kind(rawValue: word) else {
            throw reader.invalid(
                "type", word, "There is no type \(word.prefix(40))", hint: "One of \(kinds)")
        }
        self.kind = kind
        description = try reader.text("description", bytesMax: Self.textBytesMax) ?? ""
        values = try Self.readValues(kind, reader)
        (min, max) = try Self.readBounds(kind, reader)
        isRequired = try reader.boolean("required") ?? !reader.has("default")
        fallback = nil
        guard let value = reader.value("default") else { return }
        if isRequired {
            throw reader.invalid(
                "required", .bool(true), hint: "A parameter with a default is never missing: leave one out")
        }
        fallback = try checked(value, at: reader.place("default"))
    }

    private static func readValues(_ kind: Kind, _ reader: ObjectReader) throws(RequestError) -> [String] {
        let values = try reader.strings("values", countMax: valuesMax) ?? []
        guard values.isEmpty == (kind != .choice), Set(values).count == values.count else {
            throw RequestError(
                .invalidValue, "\(reader.place("values")) is not valid", field: reader.place("values"),
                hint: kind == .choice
                    ? "1 to \(valuesMax) different texts" : "Only a parameter of type enum has values")
        }
        for (index, value) in values.enumerated()
        where value.utf8.count > textBytesMax || value.utf8.contains(0) {
            throw reader.invalid(
                "values[\(index)]", value, "It is too long or holds a zero byte",
                hint: "At most \(textBytesMax) bytes")
        }
        return values
    }

    private static func readBounds(
        _ kind: Kind, _ reader: ObjectReader
    ) throws(RequestError) -> (JSONValue?, JSONValue?) {
        let bounds = (reader.value("min"), reader.value("max"))
        for (name, bound) in [("min", bounds.0), ("max", bounds.1)] {
            guard let bound else { continue }
            switch kind {
            case .integer where bound.integer != nil, .number where bound.double != nil: break
            case .integer: throw reader.invalid(name, bound, hint: "Give a whole number")
            case .number: throw reader.invalid(name, bound, hint: "Give a number")
            default: throw reader.invalid(name, bound, hint: "Only an integer or a number has bounds")
            }
        }
        if let low = bounds.0?.double, let high = bounds.1?.double, low > high {
            throw reader.invalid("max", bounds.1 ?? .null, hint: "At least min")
        }
        return bounds
    }

    /// As the definition of a template writes it.
    package var json: JSONValue {
        var fields: [String: JSONValue] = [
            "type": .string(kind.rawValue), "description": .string(description),
            "required": .bool(isRequired),
        ]
        fields["default"] = fallback
        fields["min"] = min
        fields["max"] = max
        if !values.isEmpty { fields["values"] = .array(values.map { .string($0) }) }
        return .object(fields)
    }
}
