import MarketData

/// Turns the body of `POST /queues/start` into a ``Plan``, or says what is wrong with it.
///
/// Pure: whether the exchange knows a symbol and whether the range lies in the past is checked by the caller,
/// who can ask the exchange and the clock.
package struct PlanBuilder {
    package static let symbolsMax = 500
    package static let stepsMax = 50
    /// Ten years, leap days included.
    package static let daysMax: Int64 = 3_653
    /// Candles of one instance; 10 years of minutes are 5.3 million, of seconds 315 million.
    package static let recordsMax: Int64 = 50_000_000

    /// Limits of `timeout_seconds`; the longest is a year.
    package static let timeoutSeconds = 1...31_622_400

    package init() {}

    package func build(_ body: JSONValue) throws(RequestError) -> Plan {
        let reader = try ObjectReader(
            body, path: "",
            known: [
                "symbol", "symbols", "type", "time_range", "steps", "timeout_seconds", "max_parallel",
                "priority", "transport",
            ])
        let symbols = try readSymbols(reader)
        let range = try readRange(reader)
        func makePlan(_ steps: [PlannedStep]) -> Plan {
            Plan(symbols: symbols.map(\.rawValue), timeRange: range.description, steps: steps)
        }
        var plan: Plan
        if let value = reader.value("steps") {
            guard !reader.has("type") else {
                throw RequestError(
                    .invalidValue, "type and steps exclude each other", field: "type",
                    hint:
                        "type belongs to the short form {symbol, type, time_range}; with steps, each step has its own"
                )
            }
            plan = try readSteps(value, into: makePlan)
        } else {
            plan = makePlan(try shortForm(reader))
        }
        plan.timeoutSeconds = try reader.integer("timeout_seconds", in: Self.timeoutSeconds).map(Int64.init)
        plan.parallelMax = try reader.integer("max_parallel", in: 1...Plan.instancesMax)
        plan.priority = try reader.integer("priority", in: Plan.priorityRange) ?? 0
        plan.transport = try readTransport(reader)
        try PlanChecks(plan: plan, range: range).check()
        return plan
    }

    // MARK: - Symbols and range

    private func readSymbols(_ reader: ObjectReader) throws(RequestError) -> [Symbol] {
        let name = reader.has("symbol") ? "symbol" : "symbols"
        guard !(reader.has("symbol") && reader.has("symbols")) else {
            throw RequestError(
                .invalidValue, "symbol and symbols exclude each other", field: "symbol",
                hint: "Give one of them")
        }
        guard let texts = try reader.strings(name, countMax: Self.symbolsMax), !texts.isEmpty else {
            throw RequestError(
                .missingField, "symbols is missing", field: "symbols",
                hint: "For example [\"BTCUSDT\",\"ETHUSDT\"]")
        }
        var symbols: [Symbol] = []
        for (index, text) in texts.enumerated() {
            let place = texts.count == 1 ? name : "\(name)[\(index)]"
            guard let symbol = Symbol(text) else {
                throw reader.invalid(
                    place, text, "\(place) is no symbol",
                    hint:
                        "As the exchange writes it, 1 to \(Symbol.charactersMax) of A-Z and 0-9, e.g. BTCUSDT"
                )
            }
            guard !symbols.contains(symbol) else {
                throw reader.invalid(place, text, "\(text) is there twice", hint: "Name each symbol once")
            }
            symbols.append(symbol)
        }
        return symbols
    }

    private func readTransport(_ reader: ObjectReader) throws(RequestError) -> Transport {
        guard let text = try reader.string("transport") else { return .dedicated }
        guard let transport = Transport(rawValue: text) else {
            throw reader.invalid(
                "transport", text, "There is no transport \(text.prefix(40))",
                hint: "One of \(Transport.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return transport
    }

    private func readRange(_ reader: ObjectReader) throws(RequestError) -> DayRange {
        let form = "YYYY-MM-DD:YYYY-MM-DD, both days included, UTC, e.g. 2024-08-01:2024-08-07"
        let text = try reader.requiredString("time_range", hint: form)
        guard let range = DayRange(text) else {
            let days = text.split(separator: ":", omittingEmptySubsequences: false).map { CivilDate($0) }
            if days.count == 2, let first = days[0], let last = days[1], last < first {
                throw reader.invalid(
                    "time_range", text, "time_range is reversed", hint: "Write \(last):\(first)")
            }
            throw reader.invalid("time_range", text, "time_range is no range of days", hint: form)
        }
        guard range.dayCount <= Self.daysMax else {
            throw reader.invalid(
                "time_range", text, "time_range is too long: \(range.dayCount) days",
                hint: "At most \(Self.daysMax) days in one queue")
        }
        return range
    }
}
