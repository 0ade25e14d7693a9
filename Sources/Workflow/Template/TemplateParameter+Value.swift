import MarketData

extension TemplateParameter {
    /// What is right, in a few words.
    package var hint: String {
        switch kind {
        case .string: "A text of at most \(Self.textBytesMax) bytes"
        case .integer, .number:
            (kind == .integer ? "A whole number" : "A number") + (min.map { " from \($0.excerpt)" } ?? "")
                + (max.map { " up to \($0.excerpt)" } ?? "")
        case .boolean: "true or false"
        case .symbol: "A trading pair as the exchange writes it, e.g. BTCUSDT"
        case .symbols:
            "1 to \(PlanBuilder.symbolsMax) different trading pairs, e.g. [\"BTCUSDT\",\"ETHUSDT\"]"
        case .interval: "One of " + KlineInterval.allCases.map(\.keyText).joined(separator: ", ")
        case .timeRange: "YYYY-MM-DD:YYYY-MM-DD, both days included, UTC, e.g. 2024-08-01:2024-08-07"
        case .choice: "One of " + values.joined(separator: ", ")
        }
    }

    /// The value in the form that goes into the workflow.
    ///
    /// - Parameter place: where it was given, for the error.
    package func checked(_ value: JSONValue, at place: String) throws(RequestError) -> JSONValue {
        guard let right = accepted(value) else {
            throw RequestError(
                .invalidValue, "The parameter \(name) is not valid", field: place, value: value.excerpt,
                hint: hint)
        }
        return right
    }

    /// The value that a text on a command line means.
    package func value(ofText text: String) -> JSONValue {
        switch kind {
        case .integer: Int64(text).map { .integer($0) } ?? .string(text)
        case .number: Int64(text).map { .integer($0) } ?? Double(text).map { .number($0) } ?? .string(text)
        case .boolean: ["true": .bool(true), "false": .bool(false)][text] ?? .string(text)
        case .symbols: .array(text.split(separator: ",").map { .string(String($0)) })
        case .string, .symbol, .interval, .timeRange, .choice: .string(text)
        }
    }

    private func accepted(_ value: JSONValue) -> JSONValue? {
        switch (kind, value) {
        case (.string, .string(let text)):
            return text.utf8.count <= Self.textBytesMax && !text.utf8.contains(0) ? value : nil
        case (.integer, .integer), (.number, .integer), (.number, .number):
            return isWithinBounds(value) ? value : nil
        case (.boolean, .bool): return value
        case (.symbol, .string(let text)): return Symbol(text).map { .string($0.rawValue) }
        case (.symbols, .string(let text)): return Symbol(text).map { .array([.string($0.rawValue)]) }
        case (.symbols, .array(let items)):
            let symbols = items.compactMap { $0.string.flatMap { Symbol($0) } }
            let isRight =
                symbols.count == items.count && (1...PlanBuilder.symbolsMax).contains(items.count)
                && Set(symbols).count == symbols.count
            return isRight ? value : nil
        case (.interval, .string(let text)):
            return (KlineInterval(rawValue: text) ?? KlineInterval(keyText: text)).map { .string($0.keyText) }
        case (.timeRange, .string(let text)): return DayRange(text).map { .string($0.description) }
        case (.choice, .string(let text)): return values.contains(text) ? value : nil
        default: return nil
        }
    }

    private func isWithinBounds(_ value: JSONValue) -> Bool {
        if let value = value.integer, min.map({ $0.integer != nil }) ?? true,
            max.map({ $0.integer != nil }) ?? true
        {
            return value >= min?.integer ?? .min && value <= max?.integer ?? .max
        }
        guard let value = value.double, value.isFinite else { return false }
        return value >= min?.double ?? -.infinity && value <= max?.double ?? .infinity
    }
}
