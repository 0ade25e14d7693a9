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
            body, path: "", known: ["symbol", "symbols", "type", "time_range", "steps", "timeout_seconds"])
        let symbols = try readSymbols(reader)
        let range = try readRange(reader)
        let steps: [PlannedStep]
        if let value = reader.value("steps") {
            guard !reader.has("type") else {
                throw RequestError(
                    .invalidValue, "type and steps exclude each other", field: "type",
                    hint:
                        "type belongs to the short form {symbol, type, time_range}; with steps, each step has its own"
                )
            }
            steps = try readSteps(value)
        } else {
            steps = try shortForm(reader)
        }
        let timeout = try reader.integer("timeout_seconds", in: Self.timeoutSeconds)
        let plan = Plan(
            symbols: symbols.map(\.rawValue), timeRange: range.description, steps: steps,
            timeoutSeconds: timeout.map(Int64.init))
        try checkEdges(plan)
        try checkSize(plan, range)
        try checkNames(plan, range)
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

    // MARK: - Steps

    private func shortForm(_ reader: ObjectReader) throws(RequestError) -> [PlannedStep] {
        let type = try reader.requiredString("type", hint: "For example api_candles_5m, or give steps")
        if type == DummyParameters.type {
            guard let dummy = StepID("dummy") else { preconditionFailure("it is a legal step id") }
            return [PlannedStep(id: dummy, target: .dummyService, type: type, interval: nil)]
        }
        let interval = try interval(ofType: type, parameter: nil, reader)
        guard let load = StepID("load"), let store = StepID("store") else {
            preconditionFailure("both are legal step ids")
        }
        return [
            PlannedStep(id: load, target: .loaderAPICandles, type: type, interval: interval),
            PlannedStep(id: store, target: .arangoConnector, type: type, interval: interval, input: load),
        ]
    }

    private func readSteps(_ value: JSONValue) throws(RequestError) -> [PlannedStep] {
        guard case .array(let values) = value, (1...Self.stepsMax).contains(values.count) else {
            throw RequestError(
                .invalidValue, "steps must be a list of 1 to \(Self.stepsMax) steps", field: "steps",
                value: value.excerpt)
        }
        var drafts: [StepDraft] = []
        for (index, value) in values.enumerated() {
            let draft = try StepDraft(value, path: "steps[\(index)]")
            guard !drafts.contains(where: { $0.id == draft.id }) else {
                throw RequestError(
                    .invalidValue, "Two steps have the id \(draft.id)", field: "steps[\(index)].id",
                    value: draft.id.rawValue, hint: "Give each step an id of its own")
            }
            drafts.append(draft)
        }
        var steps: [PlannedStep] = []
        for draft in drafts { steps.append(try resolve(draft, among: drafts)) }
        return steps
    }

    /// A consumer takes its type from the step it reads, unless it names one.
    private func resolve(_ draft: StepDraft, among drafts: [StepDraft]) throws(RequestError) -> PlannedStep {
        var type = draft.type
        var source: StepDraft?
        if let input = draft.input {
            guard let found = drafts.first(where: { $0.id == input }) else {
                throw draft.reader.invalid(
                    "input", input.rawValue, "There is no step \(input)",
                    hint: "Steps: \(drafts.map(\.id.rawValue).joined(separator: ", "))")
            }
            guard found.target.isProducer else {
                throw draft.reader.invalid(
                    "input", input.rawValue, "Step \(input) (\(found.target.rawValue)) produces no records",
                    hint: "Name a loader step; to wait for a step use after")
            }
            source = found
            if let type, let sourceType = found.type, type != sourceType {
                throw draft.reader.invalid(
                    "type", type, "Its input \(input) has the type \(sourceType)",
                    hint: "Leave type out or write \(sourceType)")
            }
            type = type ?? found.type
        }
        if draft.target == .dummyService {
            return try dummy(draft, type: type ?? DummyParameters.type)
        }
        guard let type else {
            throw RequestError(
                .missingField, "\(draft.reader.place("type")) is missing", field: draft.reader.place("type"),
                hint: "For example api_candles_5m")
        }
        let parameter = draft.interval ?? source?.interval
        return PlannedStep(
            id: draft.id, target: draft.target, type: type,
            interval: try interval(ofType: type, parameter: parameter, draft.reader), input: draft.input,
            after: draft.after, collectionName: draft.collectionName,
            attemptsMax: draft.attemptsMax ?? PlannedStep.attemptsDefault,
            deadLettersMax: draft.deadLettersMax ?? PlannedStep.deadLettersDefault,
            timeoutSeconds: draft.timeoutSeconds.map(Int64.init))
    }

    private func dummy(_ draft: StepDraft, type: String) throws(RequestError) -> PlannedStep {
        guard type == DummyParameters.type else {
            throw draft.reader.invalid(
                "type", type, "dummy-service has no type \(type.prefix(40))",
                hint: "Leave type out or write \(DummyParameters.type)")
        }
        return PlannedStep(
            id: draft.id, target: draft.target, type: type, interval: nil, input: draft.input,
            after: draft.after, attemptsMax: draft.attemptsMax ?? PlannedStep.attemptsDefault,
            timeoutSeconds: draft.timeoutSeconds.map(Int64.init), workerSettings: draft.workerSettings)
    }

    /// `api_candles_5m`, or `api_candles` with `params.interval`; both given must agree.
    private func interval(
        ofType type: String, parameter: String?, _ reader: ObjectReader
    ) throws(RequestError) -> KlineInterval {
        let intervals = KlineInterval.allCases.map(\.keyText).joined(separator: ", ")
        let fromParameter = parameter.flatMap { KlineInterval(rawValue: $0) ?? KlineInterval(keyText: $0) }
        if let parameter, fromParameter == nil {
            throw reader.invalid(
                "params.interval", parameter, "There is no interval \(parameter.prefix(20))",
                hint: "One of \(intervals)")
        }
        let parts = type.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0] == "api", parts[1] == "candles", parts.count <= 3 else {
            throw reader.invalid(
                "type", type, "There is no type \(type.prefix(40))",
                hint: "api_candles_<interval>, e.g. api_candles_5m; intervals: \(intervals)")
        }
        guard parts.count == 3 else {
            guard let fromParameter else {
                throw RequestError(
                    .missingField, "The type \(type) needs an interval", field: reader.place("type"),
                    value: type,
                    hint: "Write api_candles_5m, or give params.interval")
            }
            return fromParameter
        }
        guard let fromType = KlineInterval(keyText: String(parts[2])) else {
            throw reader.invalid(
                "type", type, "There is no interval \(parts[2].prefix(20))",
                hint: parts[2] == "1M" ? "A month is written 1mo" : "One of \(intervals)")
        }
        if let fromParameter, fromParameter != fromType {
            throw reader.invalid(
                "params.interval", fromParameter.keyText, "It disagrees with the type \(type)",
                hint: "Leave params.interval out or write \(fromType.keyText)")
        }
        return fromType
    }

    // MARK: - The whole plan

    private func checkEdges(_ plan: Plan) throws(RequestError) {
        for (index, step) in plan.steps.enumerated() {
            if step.target.isConsumer, step.input == nil {
                throw RequestError(
                    .missingField, "steps[\(index)].input is missing", field: "steps[\(index)].input",
                    hint: "\(step.target.rawValue) reads the records of a loader step: name it")
            }
            if !step.target.isConsumer, let input = step.input {
                throw RequestError(
                    .invalidValue, "\(step.target.rawValue) reads no records", field: "steps[\(index)].input",
                    value: input.rawValue, hint: "Leave input out; to wait for a step use after")
            }
            for (position, other) in step.after.enumerated() where plan.step(other) == nil {
                throw RequestError(
                    .invalidValue, "There is no step \(other)", field: "steps[\(index)].after[\(position)]",
                    value: other.rawValue,
                    hint: "Steps: \(plan.steps.map(\.id.rawValue).joined(separator: ", "))")
            }
        }
        try checkForCycle(plan)
    }

    /// Takes away steps that depend on nothing that is left; what remains holds a cycle.
    ///
    /// A stream edge binds both sides to run together, so its consumer also waits for what its producer waits
    /// for; the producer may therefore not wait for its consumer either.
    private func checkForCycle(_ plan: Plan) throws(RequestError) {
        var left = plan.steps
        while true {
            let ids = Set(left.map(\.id))
            let blocked = left.filter { step in
                !ids.isDisjoint(with: step.after + (step.input.map { [$0] } ?? []))
            }
            if blocked.isEmpty { return }
            if blocked.count == left.count {
                let names = blocked.map(\.id.rawValue).joined(separator: ", ")
                let index = plan.steps.firstIndex { $0.id == blocked[0].id } ?? 0
                throw RequestError(
                    .cycle, "These steps wait for one another: \(names)", field: "steps[\(index)]",
                    value: names,
                    hint: "Remove one of the edges input or after between them")
            }
            left = blocked
        }
    }

    private func checkSize(_ plan: Plan, _ range: DayRange) throws(RequestError) {
        for step in plan.steps where step.target.isProducer {
            guard let interval = KlineInterval(rawValue: step.interval) else { continue }
            let count = interval.candleCount(from: range.startMilliseconds, to: range.endMilliseconds)
            guard count <= Self.recordsMax else {
                throw RequestError(
                    .invalidValue, "time_range holds \(count) candles of \(step.interval) a symbol",
                    field: "time_range", value: range.description,
                    hint: "At most \(Self.recordsMax) a symbol in one queue: shorten the range")
            }
        }
    }

    /// Derived names have limits too, and two instances must not share a collection by accident.
    private func checkNames(_ plan: Plan, _ range: DayRange) throws(RequestError) {
        for (index, step) in plan.steps.enumerated() where step.target.isConsumer {
            for text in plan.symbols where step.collectionName == nil {
                guard let symbol = Symbol(text),
                    DerivedName.collection(symbol: symbol, type: step.type, firstDay: range.first) != nil
                else {
                    throw RequestError(
                        .invalidValue, "No collection name can be made for \(text)",
                        field: "steps[\(index)].type",
                        value: step.type, hint: "Give params.collection_name")
                }
            }
        }
    }
}
