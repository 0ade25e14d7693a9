import MarketData

/// What must hold between the parts of a plan; each is right by itself already.
struct PlanChecks {
    let plan: Plan
    let range: DayRange

    func check() throws(RequestError) {
        for (index, step) in plan.steps.enumerated() {
            try checkInput(step, index)
            try checkFanOut(step, index)
            try checkOrder(step, index)
            try checkResources(step, index)
        }
        try TransportChecks(plan: plan).check()
        try checkForCycle()
        try checkSize()
        for (index, step) in plan.steps.enumerated() where step.target.isConsumer {
            try checkCollections(step, index)
        }
        try checkParallel()
    }

    private var stepNames: String { plan.steps.map(\.id.rawValue).joined(separator: ", ") }

    private func checkInput(_ step: PlannedStep, _ index: Int) throws(RequestError) {
        if step.target.isConsumer, step.input == nil {
            throw RequestError(
                .missingField, "steps[\(index)].input is missing", field: "steps[\(index)].input",
                hint: "\(step.target.rawValue) reads the records of a loader step: name it")
        }
    }

    private func checkFanOut(_ step: PlannedStep, _ index: Int) throws(RequestError) {
        func refused(_ message: String, _ hint: String) -> RequestError {
            RequestError(
                .invalidValue, message, field: "steps[\(index)].fan_out",
                value: (try? MessageCodec.encodeText(step.fanOut.json)).map { JSONValue.string($0).excerpt },
                hint: hint)
        }
        if !step.fanOut.isBySymbol, !step.target.takesSeveralSymbols {
            throw refused(
                "An instance of \(step.target.rawValue) works on one symbol",
                "Fan the step out by symbol: \"symbol\", or symbol in by")
        }
        if step.target.worksOnAllSymbols, step.fanOut != .none {
            throw refused("\(step.target.rawValue) works on all symbols at once", "Leave fan_out out")
        }
        guard let input = step.input, let source = plan.step(input), source.fanOut != step.fanOut else {
            return
        }
        let hint = "Leave fan_out out, or give both steps the same"
        guard step.fanOut.isCoarser(than: source.fanOut) else {
            throw refused("Its instances would share the records of one instance of \(input)", hint)
        }
        guard step.target.partitionsReadMax > 1 else {
            throw refused(
                "An instance of \(step.target.rawValue) reads one instance of its input, "
                    + "and here several of \(input) belong to one",
                hint)
        }
    }

    private func checkOrder(_ step: PlannedStep, _ index: Int) throws(RequestError) {
        let after = step.after.enumerated().map { ($0.element, "after[\($0.offset)]") }
        let when = step.when.enumerated().map { ($0.element.step, "when[\($0.offset)].step") }
        for (other, place) in after + when where plan.step(other) == nil {
            throw RequestError(
                .invalidValue, "There is no step \(other)", field: "steps[\(index)].\(place)",
                value: other.rawValue, hint: "Steps: \(stepNames)")
        }
    }

    /// Steps that a stream edge links run together: the second would wait for what the first holds.
    private func checkResources(_ step: PlannedStep, _ index: Int) throws(RequestError) {
        for (field, names) in [("locks", step.locks), ("semaphores", step.semaphores)] {
            var source = step.input.flatMap(plan.step)
            // A circle of inputs is refused later.
            for _ in plan.steps {
                guard let other = source else { break }
                let shared = names.enumerated().first {
                    (other.locks + other.semaphores).contains($0.element)
                }
                if let shared {
                    throw RequestError(
                        .invalidValue,
                        "\(other.id), which runs at the same time, holds \(shared.element) too",
                        field: "steps[\(index)].\(field)[\(shared.offset)]", value: shared.element.rawValue,
                        hint: "Name it at one of the two steps")
                }
                source = other.input.flatMap(plan.step)
            }
        }
    }

    /// Takes away groups of steps that wait for nothing that is left; what remains holds a cycle.
    ///
    /// A stream edge binds both sides to run together: steps that it links wait for what any of them waits
    /// for, and none of them may wait for another.
    private func checkForCycle() throws(RequestError) {
        let indices = Dictionary(
            plan.steps.enumerated().map { ($0.element.id, $0.offset) },
            uniquingKeysWith: { first, _ in first })
        var groups = Groups(count: plan.steps.count)
        for (index, step) in plan.steps.enumerated() {
            if let source = step.input.flatMap({ indices[$0] }) { groups.join(index, source) }
        }
        let roots = plan.steps.indices.map { groups.root(of: $0) }
        var waits: [Int: Set<Int>] = [:]
        for (index, step) in plan.steps.enumerated() {
            waits[roots[index], default: []].formUnion(
                step.earlierSteps.compactMap { indices[$0] }.map { roots[$0] })
        }
        while !waits.isEmpty {
            let blocked = waits.filter { !$0.value.isDisjoint(with: waits.keys) }
            if blocked.count == waits.count {
                let steps = plan.steps.indices.filter { blocked[roots[$0]] != nil }
                let names = steps.map { plan.steps[$0].id.rawValue }.joined(separator: ", ")
                throw RequestError(
                    .cycle, "These steps wait for one another: \(names)", field: "steps[\(steps.first ?? 0)]",
                    value: names,
                    hint: "Remove one of the edges input, after or when between them; steps that input links "
                        + "run at the same time")
            }
            waits = blocked
        }
    }

    private func checkSize() throws(RequestError) {
        if let bytes = try? MessageCodec.encode(plan).count, bytes > Plan.bytesMax {
            throw RequestError(
                .tooLarge, "The plan has \(bytes) bytes", field: "steps",
                hint: "At most \(Plan.bytesMax): fewer steps or conditions")
        }
        let count = plan.steps.reduce(0) { $0 + plan.partitionCount(of: $1) }
        guard count <= Plan.instancesMax else {
            throw RequestError(
                .invalidValue, "The queue would have \(count) instances", field: "steps",
                value: String(count),
                hint:
                    "At most \(Plan.instancesMax): fewer symbols or intervals, or longer shards"
            )
        }
        for step in plan.steps where step.target.isProducer {
            for instance in plan.instances(of: step).prefix(step.fanOut.instancesOfOneSymbolMax(in: range)) {
                guard let interval = KlineInterval(rawValue: instance.interval) else { continue }
                let days = instance.timeRange
                let count = interval.candleCount(from: days.startMilliseconds, to: days.endMilliseconds)
                guard count <= PlanBuilder.recordsMax else {
                    throw RequestError(
                        .invalidValue, "time_range holds \(count) candles of \(instance.interval) a symbol",
                        field: "time_range", value: days.description,
                        hint: "At most \(PlanBuilder.recordsMax) in one instance: shorten the range, or fan "
                            + "\(step.id) out by time")
                }
            }
        }
    }

    /// Derived names have limits too.
    private func checkCollections(_ step: PlannedStep, _ index: Int) throws(RequestError) {
        for instance in plan.instances(of: step) where instance.collectionName(of: step, in: plan) == nil {
            throw RequestError(
                .invalidValue, "No collection name can be made for \(instance.name)",
                field: "steps[\(index)].type", value: step.type, hint: "Give params.collection_name")
        }
    }

    private func checkParallel() throws(RequestError) {
        guard let parallelMax = plan.parallelMax, let largest = PlanLayout(plan).largestUnit,
            largest.members.count > parallelMax
        else { return }
        let names = largest.members.prefix(4).map(\.description).joined(separator: ", ")
        let more = largest.members.count > 4 ? ", …" : ""
        throw RequestError(
            .invalidValue, "\(largest.members.count) instances must run at the same time: \(names)\(more)",
            field: "max_parallel", value: String(parallelMax),
            hint: "At least \(largest.members.count): both sides of a stream edge run together")
    }
}

extension FanOut {
    /// The first instances of a step are those of its first symbol; those of the others are like them.
    fileprivate func instancesOfOneSymbolMax(in range: DayRange) -> Int {
        max(intervals.count, 1) * shardCount(of: range)
    }
}

extension PlannedStep {
    /// The steps whose end it waits for, by `after` or `when`.
    package var earlierSteps: [StepID] {
        (after + when.map(\.step)).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
