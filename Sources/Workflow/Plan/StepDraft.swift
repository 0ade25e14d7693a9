/// One step as the request says it, before edges and types are resolved.
struct StepDraft {
    static let parameterNames = [
        "interval", "collection_name", "attempts_max", "dead_letters_max", "timeout_seconds",
    ]

    static let dummyParameterNames = DummyParameters.names + ["attempts_max", "timeout_seconds"]

    let reader: ObjectReader
    let id: StepID
    let target: Target
    let type: String?
    let input: StepID?
    let after: [StepID]
    let interval: String?
    let collectionName: String?
    let attemptsMax: Int?
    let deadLettersMax: Int?
    let timeoutSeconds: Int?
    let workerSettings: [String: String]?

    init(_ value: JSONValue, path: String) throws(RequestError) {
        let reader = try ObjectReader(
            value, path: path, known: ["id", "target", "type", "input", "after", "params"])
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

        let parameters = try ObjectReader(
            reader.value("params") ?? .object([:]), path: reader.place("params"),
            known: target == .dummyService ? Self.dummyParameterNames : Self.parameterNames)
        workerSettings = target == .dummyService ? try DummyParameters.settings(parameters) : nil
        interval = try parameters.string("interval")
        attemptsMax = try parameters.integer("attempts_max", in: 1...100)
        deadLettersMax = try parameters.integer("dead_letters_max", in: 0...1_000_000_000)
        timeoutSeconds = try parameters.integer("timeout_seconds", in: PlanBuilder.timeoutSeconds)
        collectionName = try parameters.string("collection_name")
        if let collectionName, CollectionName(collectionName) == nil {
            throw parameters.invalid(
                "collection_name", collectionName, "It is no collection name",
                hint: "1 to \(CollectionName.bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter")
        }
        if collectionName != nil, !target.isConsumer {
            throw parameters.invalid(
                "collection_name", target.rawValue, "\(target.rawValue) stores nothing",
                hint: "Give it to the step that stores")
        }
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
