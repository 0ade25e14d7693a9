/// The `params` of a step that trains or asks a model: what it reads, and the worker's settings the rest becomes.
struct ModelStepParameters {
    static let trainType = "gnn_train"
    static let inferType = "gnn_infer"

    /// A number of `params` that becomes a setting of the worker.
    private struct Number {
        var name: String
        var variable: String
        var range: ClosedRange<Double>
        var isWhole: Bool

        init(_ name: String, _ variable: String, _ range: ClosedRange<Int>) {
            self.name = name
            self.variable = variable
            self.range = Double(range.lowerBound)...Double(range.upperBound)
            isWhole = true
        }

        init(_ name: String, _ variable: String, _ range: ClosedRange<Double>) {
            self.name = name
            self.variable = variable
            self.range = range
            isWhole = false
        }
    }

    private static let numbers = [
        Number("horizon", "GNN_HORIZON", 1...1_000_000), Number("embargo", "GNN_EMBARGO", 0...1_000_000),
        Number("dead_band", "GNN_DEAD_BAND", 0.0...10.0), Number("epochs", "EPOCHS", 1...100_000),
        Number("learning_rate", "LEARNING_RATE", 1e-9...10.0),
        Number("weight_decay", "GNN_WEIGHT_DECAY", 0.0...10.0),
        Number("batch", "GNN_BATCH", 1...10_000), Number("patience", "GNN_PATIENCE", 1...100_000),
        Number("layers", "GNN_LAYERS", 1...16), Number("heads", "GNN_HEADS", 1...64),
        Number("channels", "GNN_CHANNELS", 1...1_024), Number("dropout", "GNN_DROPOUT", 0.0...0.95),
        Number("attention_dropout", "GNN_ATTENTION_DROPOUT", 0.0...0.95),
        Number("checkpoint_every", "GNN_CHECKPOINT_EVERY", 1...100_000),
        Number("seed", "GNN_SEED", 0...9_007_199_254_740_991),
    ]
    private static let words: [(name: String, variable: String, among: [String])] = [
        ("task", "GNN_TASK", ["direction", "return"]), ("norm", "GNN_NORM", ["none", "layer", "graph"]),
        ("class_weights", "GNN_CLASS_WEIGHTS", ["balanced", "even"]),
    ]
    private static let sourceNames = ["graph", "graph_step", "graph_version", "model"]

    static let trainNames = sourceNames + numbers.map(\.name) + words.map(\.name)
    static let inferNames = sourceNames + ["model_step", "model_version", "collection_name"]

    let graph: String?
    let graphStep: StepID?
    let graphVersion: String?
    let model: ModelName?
    let modelStep: StepID?
    /// A version's number or a stage.
    let modelVersion: String?
    /// Environment variables of the worker by name; nil: there are none.
    let settings: [String: String]?

    init(_ parameters: ObjectReader, isTraining: Bool) throws(RequestError) {
        graph = try parameters.string("graph")
        if let graph, GraphName(graph) == nil {
            throw parameters.invalid("graph", graph, "It is no name of a graph", hint: GraphName.rules)
        }
        graphStep = try Self.step("graph_step", besides: "graph", parameters)
        graphVersion = try parameters.string("graph_version")
        if let graphVersion, GraphVersionID(graphVersion) == nil || graph == nil {
            throw parameters.invalid(
                "graph_version", graphVersion, "It is no version of a graph that is named",
                hint: "Give graph, and 16 hexadecimal digits: the version in the graph step's extra")
        }
        model = try Self.modelName(parameters)
        modelStep = isTraining ? nil : try Self.step("model_step", besides: "model", parameters)
        modelVersion = isTraining ? nil : try Self.modelVersion(parameters)
        settings = isTraining ? try Self.settings(parameters) : nil
    }

    private static func modelName(_ parameters: ObjectReader) throws(RequestError) -> ModelName? {
        guard let text = try parameters.string("model") else { return nil }
        guard let name = ModelName(text) else {
            throw parameters.invalid("model", text, "It is no name of a model", hint: ModelName.rules)
        }
        return name
    }

    /// A number or a stage, as text.
    private static func modelVersion(_ parameters: ObjectReader) throws(RequestError) -> String? {
        guard let value = parameters.value("model_version") else { return nil }
        let hint = "The number of a version, or one of the stages \(ModelStage.words)"
        guard parameters.has("model") else {
            throw parameters.invalid("model_version", value, hint: "It belongs to model")
        }
        if let number = value.integer, number > 0 { return String(number) }
        guard let text = value.string, ModelStage(rawValue: text) != nil || Int(text).map({ $0 > 0 }) == true
        else { throw parameters.invalid("model_version", value, hint: hint) }
        return text
    }

    private static func step(
        _ name: String, besides other: String, _ parameters: ObjectReader
    ) throws(RequestError) -> StepID? {
        guard let text = try parameters.string(name) else { return nil }
        guard let id = StepID(text), !parameters.has(other) else {
            throw parameters.invalid(
                name, text, "\(parameters.place(name)) is no step id, or \(other) is there too",
                hint: "Name a step of this plan, or what is there already by \(other)")
        }
        return id
    }

    private static func settings(_ parameters: ObjectReader) throws(RequestError) -> [String: String] {
        var settings: [String: String] = [:]
        for number in numbers {
            if number.isWhole {
                let range = Int(number.range.lowerBound)...Int(number.range.upperBound)
                settings[number.variable] = try parameters.integer(number.name, in: range).map(String.init)
            } else {
                settings[number.variable] = try parameters.number(number.name, in: number.range).map {
                    String($0)
                }
            }
        }
        for (name, variable, known) in words {
            guard let text = try parameters.string(name) else { continue }
            guard known.contains(text) else {
                throw parameters.invalid(
                    name, text, "\(parameters.place(name)) is not valid",
                    hint: "One of \(known.joined(separator: ", "))")
            }
            settings[variable] = text
        }
        return settings
    }
}

/// What a version of a model is used for. Of each name at most one version is in `staging`, and one in `production`.
package enum ModelStage: String, Sendable, Hashable, Codable, CaseIterable {
    /// Registered, and nothing more.
    case candidate
    case staging
    case production
    case archived

    package static let words = allCases.map(\.rawValue).joined(separator: ", ")

    /// Queues are started that ask the version in it; it holds one.
    package var isInUse: Bool { self == .staging || self == .production }
}
