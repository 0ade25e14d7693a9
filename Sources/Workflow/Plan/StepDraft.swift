import MarketData

/// One step as the request says it, before edges, types and fan-out are resolved.
struct StepDraft {
    private static let names = [
        "id", "target", "type", "input", "after", "when", "fan_out", "retry", "timeout_seconds",
        "start_timeout_seconds", "heartbeat_timeout_seconds", "locks", "semaphores", "params",
    ]
    private static let parameterNames = [
        "interval", "source", "collection_name", "attempts_max", "dead_letters_max", "timeout_seconds",
    ]
    private static let commonParameterNames = ["attempts_max", "timeout_seconds"]

    let reader: ObjectReader
    let id: StepID
    let target: Target
    let type: String?
    let input: StepID?
    let fanOut: FanOut?
    let interval: String?
    private let after: [StepID]
    private let when: [Condition]
    private let limits: StepLimits
    private let collectionName: String?
    private let deadLettersMax: Int?
    private let workerSettings: [String: String]?
    /// What the `params` of a graph-builder say.
    let graph: GraphStepParameters?
    /// What the `params` of a step that trains or asks a model say.
    let model: ModelStepParameters?

    init(_ value: JSONValue, path: String) throws(RequestError) {
        let reader = try ObjectReader(value, path: path, known: Self.names)
        self.reader = reader
        let idHint = "1 to \(StepID.charactersMax) of a-z, 0-9, _ and -, e.g. candles"
        id = try Self.stepID(try reader.requiredString("id", hint: idHint), "id", reader)
        let targets = Target.allCases.map(\.rawValue).joined(separator: ", ")
        let name = try reader.requiredString("target", hint: "One of \(targets)")
        guard let target = Target(name: name) else {
            throw reader.invalid(
                "target", name, "There is no target \(name.prefix(40)) in this version",
                hint: "One of \(targets)")
        }
        self.target = target
        type = try reader.string("type")
        input = try reader.string("input").map { text throws(RequestError) in
            try Self.stepID(text, "input", reader)
        }
        var after: [StepID] = []
        for (index, text) in (try reader.strings("after", countMax: PlanBuilder.stepsMax) ?? []).enumerated()
        {
            after.append(try Self.stepID(text, "after[\(index)]", reader))
        }
        self.after = after
        when = try Condition.readAll(reader)
        fanOut = try FanOut.read(reader)

        let parameters = try ObjectReader(
            reader.value("params") ?? .object([:]), path: reader.place("params"),
            known: Self.parameterNames(of: target))
        limits = try StepLimits(reader, parameters)
        graph = target == .graphBuilder ? try GraphStepParameters(parameters) : nil
        model =
            target == .gnnTrainer || target == .gnnInfer
            ? try ModelStepParameters(parameters, isTraining: target == .gnnTrainer) : nil
        workerSettings =
            switch target {
            case .dummyService: try DummyParameters.settings(parameters)
            case .graphBuilder: graph?.settings
            case .gnnTrainer, .gnnInfer: model?.settings
            case .loaderAPICandles, .loaderAPITrades, .arangoConnector: try Self.source(parameters, target)
            }
        interval = try parameters.string("interval")
        deadLettersMax = try parameters.integer("dead_letters_max", in: 0...1_000_000_000)
        collectionName = try Self.collectionName(parameters, target)
    }

    /// Everything that needs no other step to be understood.
    func apply(to step: inout PlannedStep) {
        step.input = input
        step.after = after
        step.when = when
        step.collectionName = collectionName
        step.deadLettersMax = deadLettersMax ?? PlannedStep.deadLettersDefault
        step.workerSettings = workerSettings
        limits.apply(to: &step)
    }

    private static func parameterNames(of target: Target) -> [String] {
        switch target {
        case .dummyService: DummyParameters.names + commonParameterNames
        case .graphBuilder: GraphStepParameters.names + commonParameterNames
        case .gnnTrainer: ModelStepParameters.trainNames + commonParameterNames
        case .gnnInfer: ModelStepParameters.inferNames + commonParameterNames
        case .loaderAPICandles, .loaderAPITrades, .arangoConnector: parameterNames
        }
    }

    /// `params.source` of a loader, as its worker reads it.
    private static func source(
        _ parameters: ObjectReader, _ target: Target
    ) throws(RequestError) -> [String: String]? {
        guard let text = try parameters.string("source") else { return nil }
        guard target.isProducer else {
            throw parameters.invalid(
                "source", text, "\(target.rawValue) loads nothing", hint: "Give it to the step that loads")
        }
        guard let source = FeedSource(rawValue: text) else {
            throw parameters.invalid(
                "source", text, "There is no source \(text.prefix(20))",
                hint: "One of \(FeedSource.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return ["EXCHANGE_SOURCE": source.rawValue]
    }

    private static func collectionName(
        _ parameters: ObjectReader, _ target: Target
    ) throws(RequestError) -> String? {
        guard let name = try parameters.string("collection_name") else { return nil }
        guard CollectionName(name) != nil else {
            throw parameters.invalid(
                "collection_name", name, "It is no collection name",
                hint: "1 to \(CollectionName.bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter")
        }
        guard target.isConsumer || target == .gnnInfer else {
            throw parameters.invalid(
                "collection_name", target.rawValue, "\(target.rawValue) stores nothing",
                hint: "Give it to the step that stores")
        }
        return name
    }

    private static func stepID(
        _ text: String, _ name: String, _ reader: ObjectReader
    ) throws(RequestError) -> StepID {
        guard let id = StepID(text) else {
            throw reader.invalid(
                name, text, "\(reader.place(name)) is no step id",
                hint: "1 to \(StepID.charactersMax) of a-z, 0-9, _ and -, e.g. candles")
        }
        return id
    }
}

/// How long and how often a step is tried, and what it must hold meanwhile.
private struct StepLimits {
    private let retry: RetryPolicy
    private let timeoutSeconds: Int?
    private let startTimeoutSeconds: Int?
    private let heartbeatTimeoutSeconds: Int?
    private let locks: [ResourceName]
    private let semaphores: [ResourceName]

    /// - Parameter parameters: hold the short forms `attempts_max` and `timeout_seconds`.
    init(_ step: ObjectReader, _ parameters: ObjectReader) throws(RequestError) {
        let attemptsMax = try parameters.integer("attempts_max", in: RetryPolicy.attemptsRange)
        let retry = try RetryPolicy.read(step)
        if let attemptsMax, retry != nil {
            throw parameters.invalid(
                "attempts_max", .integer(Int64(attemptsMax)), hint: "Give attempts_max in retry only")
        }
        self.retry = retry ?? RetryPolicy(attemptsMax: attemptsMax ?? PlannedStep.attemptsDefault)
        let shortTimeout = try parameters.integer("timeout_seconds", in: PlanBuilder.timeoutSeconds)
        let timeout = try step.integer("timeout_seconds", in: PlanBuilder.timeoutSeconds)
        if let shortTimeout, timeout != nil {
            throw parameters.invalid(
                "timeout_seconds", .integer(Int64(shortTimeout)), hint: "Give timeout_seconds once")
        }
        timeoutSeconds = timeout ?? shortTimeout
        startTimeoutSeconds = try step.integer("start_timeout_seconds", in: PlannedStep.startTimeoutRange)
        heartbeatTimeoutSeconds = try step.integer(
            "heartbeat_timeout_seconds", in: PlannedStep.heartbeatTimeoutRange)
        locks = try Self.resources("locks", step)
        semaphores = try Self.resources("semaphores", step)
        if let both = locks.first(where: { semaphores.contains($0) }) {
            throw step.invalid(
                "semaphores", both.rawValue, "\(both) is among the locks already",
                hint: "A name is a lock or a semaphore")
        }
    }

    func apply(to step: inout PlannedStep) {
        step.retry = retry
        step.timeoutSeconds = timeoutSeconds.map(Int64.init)
        step.startTimeoutSeconds = startTimeoutSeconds.map(Int64.init)
        step.heartbeatTimeoutSeconds = heartbeatTimeoutSeconds.map(Int64.init)
        step.locks = locks
        step.semaphores = semaphores
    }

    private static func resources(
        _ name: String, _ step: ObjectReader
    ) throws(RequestError) -> [ResourceName] {
        var resources: [ResourceName] = []
        for (index, text) in (try step.strings(name, countMax: PlannedStep.resourcesMax) ?? []).enumerated() {
            guard let resource = ResourceName(text), !resources.contains(resource) else {
                throw step.invalid(
                    "\(name)[\(index)]", text,
                    "\(step.place("\(name)[\(index)]")) is no name, or there twice",
                    hint: ResourceName.rules)
            }
            resources.append(resource)
        }
        return resources
    }
}
