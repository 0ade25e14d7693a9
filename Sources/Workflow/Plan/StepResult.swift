/// What came out of one instance, or of several together.
package struct StepResult: Sendable, Hashable {
    package var status: InstanceMachine.State
    package var counts: InstanceCounts
    package var extra: [String: JSONValue]

    package init(
        status: InstanceMachine.State, counts: InstanceCounts = InstanceCounts(),
        extra: [String: JSONValue] = [:]
    ) {
        self.status = status
        self.counts = counts
        self.extra = extra
    }

    /// The sum of several: counts and numbers of `extra` are added; the status is the worst, in the order
    /// failed, interrupted, finished, skipped. Members of `extra` that are no numbers have no sum.
    package init(sumOf results: [StepResult]) {
        self.init(status: .skipped)
        let states = Set(results.map(\.status))
        status = [.failed, .interrupted, .finished].first { states.contains($0) } ?? .skipped
        for result in results {
            add(result.counts)
            for (name, value) in result.extra { add(value, to: name) }
        }
    }

    /// Wraps around instead of trapping: the numbers come from outside.
    private mutating func add(_ more: InstanceCounts) {
        counts.recordsRead &+= more.recordsRead
        counts.recordsWritten &+= more.recordsWritten
        counts.duplicates &+= more.duplicates
        counts.deadLetters &+= more.deadLetters
    }

    private mutating func add(_ value: JSONValue, to name: String) {
        switch (extra[name], value) {
        case (nil, .integer), (nil, .number): extra[name] = value
        case (.integer(let sum)?, .integer(let more)):
            let (total, isTooLarge) = sum.addingReportingOverflow(more)
            extra[name] = isTooLarge ? .number(Double(sum) + Double(more)) : .integer(total)
        case (let sum?, _):
            if let sum = sum.double, let more = value.double { extra[name] = .number(sum + more) }
        case (nil, _): break
        }
    }

    func value(of field: Condition.Field) -> JSONValue? {
        switch field {
        case .status: .string(status.rawValue)
        case .recordsRead: .integer(counts.recordsRead)
        case .recordsWritten: .integer(counts.recordsWritten)
        case .duplicates: .integer(counts.duplicates)
        case .deadLetters: .integer(counts.deadLetters)
        case .extra(let name): extra[name]
        }
    }
}
