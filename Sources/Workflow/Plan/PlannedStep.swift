import MarketData

/// A node of the plan.
package struct PlannedStep: Sendable, Hashable {
    package var id: StepID
    package var target: Target
    /// e.g. `api_candles_5m`; without the interval where it is fanned out by interval.
    package var type: String
    /// The exchange's spelling, e.g. `5m` or `1M`; empty where the target has none, or its instances have
    /// different ones.
    package var interval: String
    package var fanOut = FanOut.symbol
    /// Stream edges: the step whose records it reads while that one runs.
    package var input: StepID?
    /// Completion edges: steps that must be finished before it starts.
    package var after: [StepID]
    /// An instance is skipped unless all of these hold.
    package var when: [Condition] = []
    /// The collection as the request says; nil for the derived name.
    package var collectionName: String?
    package var retry: RetryPolicy
    package var deadLettersMax: Int
    /// An instance fails when it took longer than this since its first attempt, pauses not counted; nil: no limit.
    package var timeoutSeconds: Int64?
    /// An attempt is lost when its first event takes longer than this; nil: the engine's own limit.
    package var startTimeoutSeconds: Int64?
    /// An attempt is lost when no heartbeat came for this long; nil: the engine's own limit.
    package var heartbeatTimeoutSeconds: Int64?
    /// Held while an instance has a live attempt; nobody else holds them then.
    package var locks: [ResourceName] = []
    /// Of each, an instance takes one place while it has a live attempt.
    package var semaphores: [ResourceName] = []
    /// Settings of the worker that the request names in its own words, by environment variable.
    package var workerSettings: [String: String]?
    /// Of a step that builds a graph: what it reads and writes.
    package var graph: GraphSources?
    /// Of a step that trains or asks a model: what it reads and makes.
    package var model: ModelSources?

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
        retry = RetryPolicy(attemptsMax: attemptsMax)
        self.deadLettersMax = deadLettersMax
    }

    package var attemptsMax: Int { retry.attemptsMax }

    /// Attempts that may fail or be lost before the instance fails.
    package static let attemptsDefault = 10
    package static let deadLettersDefault = 1_000
    package static let startTimeoutRange = 1...86_400
    package static let heartbeatTimeoutRange = 1...3_600
    package static let resourcesMax = 16
}

// Queues that an earlier version stored lack the newer members. `attempts_max` is written beside `retry`, so
// that a replica of that version reads what this one wrote.
extension PlannedStep: Codable {
    package enum CodingKeys: String, CodingKey {
        case id, target, type, interval, input, after, when, retry, locks, semaphores, graph, model
        case fanOut = "fan_out"
        case workerSettings = "worker_settings"
        case collectionName = "collection_name"
        case attemptsMax = "attempts_max"
        case deadLettersMax = "dead_letters_max"
        case timeoutSeconds = "timeout_seconds"
        case startTimeoutSeconds = "start_timeout_seconds"
        case heartbeatTimeoutSeconds = "heartbeat_timeout_seconds"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(StepID.self, forKey: .id)
        target = try container.decode(Target.self, forKey: .target)
        type = try container.decode(String.self, forKey: .type)
        interval = try container.decode(String.self, forKey: .interval)
        fanOut = try container.decodeIfPresent(FanOut.self, forKey: .fanOut) ?? .symbol
        input = try container.decodeIfPresent(StepID.self, forKey: .input)
        after = try container.decode([StepID].self, forKey: .after)
        when = try container.decodeIfPresent([Condition].self, forKey: .when) ?? []
        collectionName = try container.decodeIfPresent(String.self, forKey: .collectionName)
        let attemptsMax = try container.decode(Int.self, forKey: .attemptsMax)
        retry =
            try container.decodeIfPresent(RetryPolicy.self, forKey: .retry)
            ?? RetryPolicy(attemptsMax: attemptsMax)
        deadLettersMax = try container.decode(Int.self, forKey: .deadLettersMax)
        timeoutSeconds = try container.decodeIfPresent(Int64.self, forKey: .timeoutSeconds)
        startTimeoutSeconds = try container.decodeIfPresent(Int64.self, forKey: .startTimeoutSeconds)
        heartbeatTimeoutSeconds = try container.decodeIfPresent(Int64.self, forKey: .heartbeatTimeoutSeconds)
        locks = try container.decodeIfPresent([ResourceName].self, forKey: .locks) ?? []
        semaphores = try container.decodeIfPresent([ResourceName].self, forKey: .semaphores) ?? []
        workerSettings = try container.decodeIfPresent([String: String].self, forKey: .workerSettings)
        graph = try container.decodeIfPresent(GraphSources.self, forKey: .graph)
        model = try container.decodeIfPresent(ModelSources.self, forKey: .model)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(target, forKey: .target)
        try container.encode(type, forKey: .type)
        try container.encode(interval, forKey: .interval)
        try container.encode(fanOut, forKey: .fanOut)
        try container.encodeIfPresent(input, forKey: .input)
        try container.encode(after, forKey: .after)
        try container.encode(when, forKey: .when)
        try container.encodeIfPresent(collectionName, forKey: .collectionName)
        try container.encode(attemptsMax, forKey: .attemptsMax)
        try container.encode(retry, forKey: .retry)
        try container.encode(deadLettersMax, forKey: .deadLettersMax)
        try container.encodeIfPresent(timeoutSeconds, forKey: .timeoutSeconds)
        try container.encodeIfPresent(startTimeoutSeconds, forKey: .startTimeoutSeconds)
        try container.encodeIfPresent(heartbeatTimeoutSeconds, forKey: .heartbeatTimeoutSeconds)
        try container.encode(locks, forKey: .locks)
        try container.encode(semaphores, forKey: .semaphores)
        try container.encodeIfPresent(workerSettings, forKey: .workerSettings)
        try container.encodeIfPresent(graph, forKey: .graph)
        try container.encodeIfPresent(model, forKey: .model)
    }
}
