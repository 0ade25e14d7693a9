import MarketData

/// What a queue does: steps, each fanned out into instances. Checked when built, never changed.
package struct Plan: Sendable, Hashable {
    package var symbols: [String]
    /// `YYYY-MM-DD:YYYY-MM-DD`, both days included, UTC.
    package var timeRange: String
    package var steps: [PlannedStep]
    /// The queue fails when it ran longer than this, pauses not counted; nil: no limit.
    package var timeoutSeconds: Int64?
    /// Instances with a live attempt at the same time; nil: as many as there are.
    package var parallelMax: Int?
    /// From -100 to 100; where queues compete the higher one goes first.
    package var priority = 0
    /// `name@version` of the template it was made from.
    package var template: String?
    package var transport = Transport.dedicated

    package init(
        symbols: [String], timeRange: String, steps: [PlannedStep], timeoutSeconds: Int64? = nil
    ) {
        self.symbols = symbols
        self.timeRange = timeRange
        self.steps = steps
        self.timeoutSeconds = timeoutSeconds
    }

    package static let instancesMax = 5_000
    /// As JSON; half of what a stored value may have when it is read again.
    package static let bytesMax = MessageCodec.bytesMax / 2
    package static let priorityRange = -100...100

    package func step(_ id: StepID) -> PlannedStep? { steps.first { $0.id == id } }
    package var producingStepCount: Int { steps.count { $0.target.isProducer } }

    /// Every instance, in the order of the steps; within a step by symbol, interval and time.
    package var instances: [InstanceID] { steps.flatMap { instances(of: $0).map(\.id) } }
}

// Queues that an earlier version stored lack the newer members.
extension Plan: Codable {
    package enum CodingKeys: String, CodingKey {
        case symbols, steps, priority, template, transport
        case timeRange = "time_range"
        case timeoutSeconds = "timeout_seconds"
        case parallelMax = "max_parallel"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        symbols = try container.decode([String].self, forKey: .symbols)
        timeRange = try container.decode(String.self, forKey: .timeRange)
        steps = try container.decode([PlannedStep].self, forKey: .steps)
        timeoutSeconds = try container.decodeIfPresent(Int64.self, forKey: .timeoutSeconds)
        parallelMax = try container.decodeIfPresent(Int.self, forKey: .parallelMax)
        priority = try container.decodeIfPresent(Int.self, forKey: .priority) ?? 0
        template = try container.decodeIfPresent(String.self, forKey: .template)
        transport = try container.decodeIfPresent(Transport.self, forKey: .transport) ?? .dedicated
    }
}
