import MarketData

/// What a queue does: steps, each fanned out over the symbols. Checked when built, never changed.
package struct Plan: Sendable, Hashable, Codable {
    package var symbols: [String]
    /// `YYYY-MM-DD:YYYY-MM-DD`, both days included, UTC.
    package var timeRange: String
    package var steps: [PlannedStep]
    /// The queue fails when it ran longer than this, pauses not counted; nil: no limit.
    package var timeoutSeconds: Int64?

    package init(
        symbols: [String], timeRange: String, steps: [PlannedStep], timeoutSeconds: Int64? = nil
    ) {
        self.symbols = symbols
        self.timeRange = timeRange
        self.steps = steps
        self.timeoutSeconds = timeoutSeconds
    }

    package enum CodingKeys: String, CodingKey {
        case symbols, steps
        case timeRange = "time_range"
        case timeoutSeconds = "timeout_seconds"
    }

    package func step(_ id: StepID) -> PlannedStep? { steps.first { $0.id == id } }
    package var producingStepCount: Int { steps.count { $0.target.isProducer } }

    /// Every instance, in the order of steps and symbols.
    package var instances: [InstanceID] {
        steps.flatMap { step in symbols.map { InstanceID(step: step.id, instance: $0) } }
    }

    /// The partition of an instance on its step's data topic: the index of its symbol.
    package func partition(ofInstance instance: String) -> Int32? {
        symbols.firstIndex(of: instance).map(Int32.init)
    }
}

/// A node of the plan.
package struct PlannedStep: Sendable, Hashable, Codable {
    package var id: StepID
    package var target: Target
    /// e.g. `api_candles_5m`.
    package var type: String
    /// The exchange's spelling, e.g. `5m` or `1M`; empty where the target has none.
    package var interval: String
    /// Stream edges: the step whose records it reads while that one runs.
    package var input: StepID?
    /// Completion edges: steps that must be finished before it starts.
    package var after: [StepID]
    /// The collection as the request says; nil for the derived name.
    package var collectionName: String?
    package var attemptsMax: Int
    package var deadLettersMax: Int
    /// An instance fails when it took longer than this since its first attempt, pauses not counted; nil: no limit.
    package var timeoutSeconds: Int64?
    /// Settings of the worker that the request names in its own words, by environment variable.
    package var workerSettings: [String: String]?

    package init(
        id: StepID, target: Target, type: String, interval: KlineInterval?, input: StepID? = nil,
        after: [StepID] = [], collectionName: String? = nil, attemptsMax: Int = Self.attemptsDefault,
        deadLettersMax: Int = Self.deadLettersDefault, timeoutSeconds: Int64? = nil,
        workerSettings: [String: String]? = nil
    ) {
        self.timeoutSeconds = timeoutSeconds
        self.workerSettings = workerSettings
        self.id = id
        self.target = target
        self.type = type
        self.interval = interval?.rawValue ?? ""
        self.input = input
        self.after = after
        self.collectionName = collectionName
        self.attemptsMax = attemptsMax
        self.deadLettersMax = deadLettersMax
    }

    /// Attempts that may fail or be lost before the instance fails.
    package static let attemptsDefault = 10
    package static let deadLettersDefault = 1_000

    package enum CodingKeys: String, CodingKey {
        case id, target, type, interval, input, after
        case workerSettings = "worker_settings"
        case collectionName = "collection_name"
        case attemptsMax = "attempts_max"
        case deadLettersMax = "dead_letters_max"
        case timeoutSeconds = "timeout_seconds"
    }
}
