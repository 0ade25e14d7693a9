import MarketData

/// Something in a plan that is allowed and yet hardly what was meant.
package struct PlanWarning: Sendable, Hashable {
    package enum Code: String, Sendable, Hashable {
        /// A loader whose records nobody reads.
        case unreadStep = "unread_step"
        /// The range reaches into a day that is not over: what closes later is not loaded.
        case openDay = "open_day"
        /// A wait that can never end in time.
        case waitBeyondTimeout = "wait_beyond_timeout"
        /// A parameter of the template that its workflow does not use.
        case unusedParameter = "unused_parameter"
        /// Steps of one plan that write the same documents.
        case sharedCollection = "shared_collection"
    }

    package var code: Code
    package var message: String
    /// Where in the request.
    package var field: String

    package init(_ code: Code, _ message: String, field: String) {
        self.code = code
        self.message = message
        self.field = field
    }
}

package enum PlanLint {
    /// - Parameter today: the exchange's day, UTC.
    package static func warnings(_ plan: Plan, today: CivilDate) -> [PlanWarning] {
        var warnings: [PlanWarning] = []
        for (index, step) in plan.steps.enumerated() {
            if step.target.isProducer, !plan.steps.contains(where: { $0.input == step.id }) {
                warnings.append(
                    PlanWarning(
                        .unreadStep, "Nobody reads the records of \(step.id)", field: "steps[\(index)]"))
            }
            warnings += waits(of: step, "steps[\(index)]", plan)
        }
        if let range = DayRange(plan.timeRange), range.last >= today {
            warnings.append(
                PlanWarning(
                    .openDay,
                    "\(range.last) is not over: what is closed or traded after the start is not loaded",
                    field: "time_range"))
        }
        return warnings + sharedCollections(plan)
    }

    private static func waits(of step: PlannedStep, _ place: String, _ plan: Plan) -> [PlanWarning] {
        var warnings: [PlanWarning] = []
        func warn(_ name: String, _ seconds: Int64, of limit: String) {
            warnings.append(
                PlanWarning(
                    .waitBeyondTimeout, "\(name) is not shorter than \(limit), \(seconds) s",
                    field: "\(place).\(name)"))
        }
        let limits = [
            ("timeout_seconds of the step", step.timeoutSeconds),
            ("timeout_seconds of the queue", plan.timeoutSeconds),
        ]
        for case (let limit, let seconds?) in limits {
            if let start = step.startTimeoutSeconds, start >= seconds {
                warn("start_timeout_seconds", seconds, of: limit)
            }
            if let heartbeat = step.heartbeatTimeoutSeconds, heartbeat >= seconds {
                warn("heartbeat_timeout_seconds", seconds, of: limit)
            }
            // A wait of a policy that was asked for; the usual one is left alone.
            let first = step.retry.delay(afterFailures: 1, jitter: 0)
            if step.retry.attemptsMax > 1, first >= .seconds(seconds) {
                warn("retry.backoff_initial_seconds", seconds, of: limit)
            }
        }
        if let own = step.timeoutSeconds, let whole = plan.timeoutSeconds, own > whole {
            warn("timeout_seconds", whole, of: limits[1].0)
        }
        return warnings
    }

    /// Two steps that store the same type of the same symbols in one collection do the same work twice.
    private static func sharedCollections(_ plan: Plan) -> [PlanWarning] {
        var owners: [String: StepID] = [:]
        var warnings: [PlanWarning] = []
        for (index, step) in plan.steps.enumerated() where step.target.isConsumer {
            let places = Set(
                plan.instances(of: step).compactMap { instance in
                    instance.collectionName(of: step, in: plan).map {
                        "\($0) \(instance.symbol) \(instance.type)"
                    }
                })
            let other = places.lazy.compactMap { owners[$0] }.first
            for place in places { owners[place] = step.id }
            guard let other else { continue }
            warnings.append(
                PlanWarning(
                    .sharedCollection, "\(step.id) stores into the same collections as \(other)",
                    field: "steps[\(index)]"))
        }
        return warnings
    }
}
