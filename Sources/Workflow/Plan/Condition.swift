/// A comparison with the result of an earlier step; an instance whose conditions do not all hold is skipped.
package struct Condition: Sendable, Hashable, Codable {
    package enum Field: Sendable, Hashable {
        case status, recordsRead, recordsWritten, duplicates, deadLetters
        /// A member that the worker gave in `extra`.
        case extra(String)
    }

    package enum Comparison: String, Sendable, Hashable, Codable, CaseIterable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case atMost = "<="
        case greater = ">"
        case atLeast = ">="

        var isOrder: Bool { self != .equal && self != .notEqual }
    }

    package var step: StepID
    package var field: Field
    package var comparison: Comparison
    /// A string, a number or a boolean.
    package var value: JSONValue

    package init(step: StepID, field: Field, comparison: Comparison, value: JSONValue) {
        self.step = step
        self.field = field
        self.comparison = comparison
        self.value = value
    }

    package enum CodingKeys: String, CodingKey {
        case step, field, value
        case comparison = "op"
    }

    /// Whether a result makes the condition true. A value that is not there, or of another kind, makes none
    /// true.
    package func isMet(by result: StepResult) -> Bool {
        guard let found = result.value(of: field) else { return false }
        if let left = found.double, let right = value.double {
            switch comparison {
            case .equal: return left == right
            case .notEqual: return left != right
            case .less: return left < right
            case .atMost: return left <= right
            case .greater: return left > right
            case .atLeast: return left >= right
            }
        }
        guard found.kind == value.kind else { return false }
        switch comparison {
        case .equal: return found == value
        case .notEqual: return found != value
        case .less, .atMost, .greater, .atLeast: return false
        }
    }
}

extension Condition.Field: Codable, CustomStringConvertible {
    private static let plain: [(String, Condition.Field)] = [
        ("status", .status), ("records_read", .recordsRead), ("records_written", .recordsWritten),
        ("duplicates", .duplicates), ("dead_letters", .deadLetters),
    ]
    private static let extraPrefix = "extra."
    private static let extraCharactersMax = 64
    static let hint = "One of \(plain.map(\.0).joined(separator: ", ")) and \(extraPrefix)<name>"

    package init?(_ text: String) {
        if let (_, field) = Self.plain.first(where: { $0.0 == text }) {
            self = field
            return
        }
        let name = text.dropFirst(Self.extraPrefix.count)
        guard text.hasPrefix(Self.extraPrefix), (1...Self.extraCharactersMax).contains(name.utf8.count),
            name.utf8.allSatisfy({ $0.isASCIILetter || $0.isASCIIDigit || $0 == UInt8(ascii: "_") })
        else { return nil }
        self = .extra(String(name))
    }

    package var description: String {
        if case .extra(let name) = self { return Self.extraPrefix + name }
        return Self.plain.first { $0.1 == self }?.0 ?? ""
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let field = Self(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "is no field: \(text.prefix(80))"))
        }
        self = field
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Condition {
    package static let countMax = 20
    private static let textBytesMax = 200
    static let statuses = InstanceMachine.State.allCases.filter(\.isFinal).map(\.rawValue)

    /// Reads the member `when` of a step.
    static func readAll(_ step: ObjectReader) throws(RequestError) -> [Condition] {
        guard let value = step.value("when") else { return [] }
        let form = "{\"step\":\"load\",\"field\":\"records_written\",\"op\":\">\",\"value\":0}"
        guard case .array(let values) = value, (1...countMax).contains(values.count) else {
            throw step.invalid("when", value, hint: "A list of 1 to \(countMax) comparisons like \(form)")
        }
        var conditions: [Condition] = []
        for (index, value) in values.enumerated() {
            let reader = try ObjectReader(
                value, path: step.place("when[\(index)]"), known: ["step", "field", "op", "value"])
            conditions.append(try read(reader, form: form))
        }
        return conditions
    }

    private static func read(_ reader: ObjectReader, form: String) throws(RequestError) -> Condition {
        let stepText = try reader.requiredString("step", hint: form)
        guard let step = StepID(stepText) else {
            throw reader.invalid("step", stepText, "\(reader.place("step")) is no step id", hint: form)
        }
        let fieldText = try reader.requiredString("field", hint: Field.hint)
        guard let field = Field(fieldText) else {
            throw reader.invalid(
                "field", fieldText, "Results have no field \(fieldText.prefix(40))", hint: Field.hint)
        }
        let words = Comparison.allCases.map(\.rawValue).joined(separator: " ")
        let word = try reader.requiredString("op", hint: "One of \(words)")
        guard let comparison = Comparison(rawValue: word) else {
            throw reader.invalid(
                "op", word, "There is no comparison \(word.prefix(20))", hint: "One of \(words)")
        }
        guard let value = reader.value("value") else {
            throw RequestError(
                .missingField, "\(reader.place("value")) is missing", field: reader.place("value"), hint: form
            )
        }
        try check(value, field, comparison, reader)
        return Condition(step: step, field: field, comparison: comparison, value: value)
    }

    private static func check(
        _ value: JSONValue, _ field: Field, _ comparison: Comparison, _ reader: ObjectReader
    ) throws(RequestError) {
        switch (field, value) {
        case (.status, .string(let text)) where statuses.contains(text): break
        case (.status, _):
            throw reader.invalid("value", value, hint: "One of \(statuses.joined(separator: ", "))")
        case (.extra, .string(let text)):
            guard text.utf8.count <= textBytesMax, !text.utf8.contains(0) else {
                throw reader.invalid("value", value, hint: "At most \(textBytesMax) bytes, none of them zero")
            }
        case (.extra, .bool): break
        case (_, .integer), (_, .number): return
        default:
            throw reader.invalid(
                "value", value,
                hint: field.isCount ? "Give a number" : "Give a string, a number, true or false")
        }
        guard !comparison.isOrder else {
            throw reader.invalid(
                "op", comparison.rawValue, "Only numbers have an order", hint: "Compare by == or !=")
        }
    }
}

extension Condition.Field {
    fileprivate var isCount: Bool {
        if case .extra = self { false } else { self != .status }
    }
}

extension JSONValue {
    /// The number of an integer or a number.
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    fileprivate var kind: Int {
        switch self {
        case .null: 0
        case .bool: 1
        case .integer, .number: 2
        case .string: 3
        case .array: 4
        case .object: 5
        }
    }
}
