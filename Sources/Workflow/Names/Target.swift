/// The kind of worker that runs a step.
package enum Target: String, Sendable, Hashable, Codable, CaseIterable {
    case loaderAPICandles = "loader-api-candles"
    case loaderAPITrades = "loader-api-trades"
    case arangoConnector = "arango-connector"
    case graphBuilder = "graph-builder"
    case gnnTrainer = "gnn-trainer"
    case gnnInfer = "gnn-infer"
    case dummyService = "dummy-service"

    /// Other names a request may use for the same worker.
    private static let aliases: [String: Target] = [
        "arango-candles": .arangoConnector, "arango-trades": .arangoConnector,
        "graph_builder": .graphBuilder, "graph_build": .graphBuilder, "gnn_trainer": .gnnTrainer,
        "gnn_train": .gnnTrainer, "gnn_infer": .gnnInfer,
    ]

    /// nil for a target this version does not have.
    package init?(name: String) {
        guard let target = Target(rawValue: name) ?? Self.aliases[name] else { return nil }
        self = target
    }

    /// Whether it writes records to a data topic.
    package var isProducer: Bool { self == .loaderAPICandles || self == .loaderAPITrades }
    /// Whether it reads records from the data topic of another step.
    package var isConsumer: Bool { self == .arangoConnector }
    /// Whether one instance can work on several symbols.
    package var takesSeveralSymbols: Bool { self == .dummyService || worksOnAllSymbols }
    /// Whether one instance works on all symbols of its queue.
    package var worksOnAllSymbols: Bool {
        switch self {
        case .graphBuilder, .gnnTrainer, .gnnInfer: true
        case .loaderAPICandles, .loaderAPITrades, .arangoConnector, .dummyService: false
        }
    }
    /// The program that runs it; its argument is the target's name.
    package var program: String {
        switch self {
        case .graphBuilder: "streamforge-graph"
        case .gnnTrainer, .gnnInfer: "gnn-trainer"
        case .loaderAPICandles, .loaderAPITrades, .arangoConnector, .dummyService: "streamforge-worker"
        }
    }
    /// Partitions of its input that one instance can read.
    package var partitionsReadMax: Int { isConsumer ? 1 : 0 }
}
