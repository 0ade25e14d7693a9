import MarketData

extension PlanBuilder {
    /// `{symbols, type, time_range}`: load and store, or one dummy.
    func shortForm(_ reader: ObjectReader) throws(RequestError) -> [PlannedStep] {
        let type = try reader.requiredString("type", hint: "For example api_candles_5m, or give steps")
        if type == DummyParameters.type {
            guard let dummy = StepID("dummy") else { preconditionFailure("it is a legal step id") }
            return [PlannedStep(id: dummy, target: .dummyService, type: type, interval: nil)]
        }
        let records = try RecordType(type, reader)
        let interval = try records.interval(parameter: nil, type: type, reader)
        guard let load = StepID("load"), let store = StepID("store") else {
            preconditionFailure("both are legal step ids")
        }
        return [
            PlannedStep(id: load, target: records.loader, type: type, interval: interval),
            PlannedStep(id: store, target: .arangoConnector, type: type, interval: interval, input: load),
        ]
    }

    /// - Parameter plan: makes the plan of the steps; in it those that read what others store find them.
    func readSteps(
        _ value: JSONValue, into plan: ([PlannedStep]) -> Plan
    ) throws(RequestError) -> Plan {
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
        var graphs: [Int: GraphStepResolver.Entry] = [:]
        var models: [Int: ModelStepParameters] = [:]
        for (index, draft) in drafts.enumerated() {
            steps.append(try resolve(draft, among: drafts))
            graphs[index] = draft.graph.map {
                GraphStepResolver.Entry(values: $0, givenInterval: draft.interval)
            }
            models[index] = draft.model
        }
        let withGraphs = try GraphStepResolver(plan: plan(steps)).resolve(graphs)
        return try ModelStepResolver(plan: withGraphs).resolve(models)
    }

    /// A consumer takes type and fan-out from the step it reads, unless it names them.
    private func resolve(_ draft: StepDraft, among drafts: [StepDraft]) throws(RequestError) -> PlannedStep {
        let source = try source(of: draft, among: drafts)
        var type = draft.type
        if let type, let sourceType = source?.type, type != sourceType {
            throw draft.reader.invalid(
                "type", type, "Its input \(draft.input?.rawValue ?? "") has the type \(sourceType)",
                hint: "Leave type out or write \(sourceType)")
        }
        type = type ?? source?.type
        let fanOut = draft.fanOut ?? source?.fanOut ?? (draft.target.worksOnAllSymbols ? .none : .symbol)
        var step: PlannedStep
        if let only = Self.onlyType(of: draft.target) {
            let type = type ?? only
            guard type == only else {
                throw draft.reader.invalid(
                    "type", type, "\(draft.target.rawValue) has no type \(type.prefix(40))",
                    hint: "Leave type out or write \(only)")
            }
            step = PlannedStep(id: draft.id, target: draft.target, type: type, interval: nil)
        } else {
            guard let type else {
                throw RequestError(
                    .missingField, "\(draft.reader.place("type")) is missing",
                    field: draft.reader.place("type"), hint: "For example api_candles_5m")
            }
            let interval = try interval(ofType: type, fanOut, parameter: source?.interval, draft)
            step = PlannedStep(id: draft.id, target: draft.target, type: type, interval: interval)
        }
        step.fanOut = fanOut
        draft.apply(to: &step)
        return step
    }

    /// The type of steps that load and store no records.
    private static func onlyType(of target: Target) -> String? {
        switch target {
        case .dummyService: DummyParameters.type
        case .graphBuilder: GraphStepParameters.type
        case .gnnTrainer: ModelStepParameters.trainType
        case .gnnInfer: ModelStepParameters.inferType
        case .loaderAPICandles, .loaderAPITrades, .arangoConnector: nil
        }
    }

    private func source(
        of draft: StepDraft, among drafts: [StepDraft]
    ) throws(RequestError) -> StepDraft? {
        guard let input = draft.input else { return nil }
        guard draft.target.isConsumer else {
            throw draft.reader.invalid(
                "input", input.rawValue, "\(draft.target.rawValue) reads no records",
                hint: "Leave input out; to wait for a step use after")
        }
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
        return found
    }

    private func interval(
        ofType type: String, _ fanOut: FanOut, parameter: String?, _ draft: StepDraft
    ) throws(RequestError) -> KlineInterval? {
        if !fanOut.intervals.isEmpty { return try noInterval(ofType: type, draft) }
        let records = try RecordType(type, draft.reader)
        guard !draft.target.isProducer || draft.target == records.loader else {
            throw draft.reader.invalid(
                "type", type, "\(draft.target.rawValue) does not load \(type)",
                hint: "The target for it is \(records.loader.rawValue)")
        }
        return try records.interval(parameter: draft.interval ?? parameter, type: type, draft.reader)
    }

    /// Fanned out by interval, the instances have it, not the step.
    private func noInterval(ofType type: String, _ draft: StepDraft) throws(RequestError) -> KlineInterval? {
        guard type == "api_candles" else {
            throw draft.reader.invalid(
                "type", type, "A step that is fanned out by interval has none in its type",
                hint: type.hasPrefix("api_candles")
                    ? "Write api_candles, or leave interval out of fan_out"
                    : "Leave interval out of fan_out: only candles have one")
        }
        if let interval = draft.interval {
            throw draft.reader.invalid(
                "params.interval", interval, "fan_out gives each instance an interval already",
                hint: "Leave params.interval out")
        }
        return nil
    }
}
