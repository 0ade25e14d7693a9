import MarketData

/// Names one run of a workflow: `wf-<symbol>-<type>-<first day>-<6 of a-z 0-9>`, at most 63 characters, so
/// that it fits a Kubernetes label value.
package struct QueueID: Sendable, Hashable, Codable, CustomStringConvertible {
    package static let charactersMax = 63
    package static let suffixLength = 6

    package let rawValue: String

    /// nil unless it begins with `wf-`, ends with `-` and six of `a-z 0-9`, and holds only `a-z 0-9 _ -`.
    package init?(_ rawValue: String) {
        let bytes = Array(rawValue.utf8)
        guard rawValue.hasPrefix("wf-"), (11...Self.charactersMax).contains(bytes.count),
            bytes.allSatisfy({ $0.isLowerAlphanumeric || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
            ),
            bytes.suffix(Self.suffixLength).allSatisfy(\.isLowerAlphanumeric),
            bytes[bytes.count - Self.suffixLength - 1] == UInt8(ascii: "-")
        else { return nil }
        self.rawValue = rawValue
    }

    /// - Parameters:
    ///   - subject: the symbol, or the template of a queue with several.
    ///   - suffix: six of `a-z 0-9`, drawn at random by the caller.
    package init?(subject: String, type: String, firstDay: CivilDate, suffix: String) {
        let tail = "-\(firstDay.compactText)-\(suffix)"
        let middle = "\(subject)-\(type)".lowercased().utf8.map { byte in
            byte.isLowerAlphanumeric || byte == UInt8(ascii: "_") ? byte : UInt8(ascii: "-")
        }
        let cut = middle.prefix(Self.charactersMax - 3 - tail.utf8.count)
        self.init("wf-" + String(decoding: cut, as: UTF8.self) + tail)
    }

    package var suffix: String { String(rawValue.suffix(Self.suffixLength)) }
    package var description: String { rawValue }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let id = QueueID(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "is no queue id: \(text.prefix(80))"))
        }
        self = id
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// A step of a plan, e.g. `candles`: 1 to 32 of `a-z 0-9 _ -`, beginning and ending with a letter or digit.
package struct StepID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    package static let charactersMax = 32

    package let rawValue: String

    package init?(_ rawValue: String) {
        let bytes = rawValue.utf8
        guard (1...Self.charactersMax).contains(bytes.count), let first = bytes.first, let last = bytes.last,
            first.isLowerAlphanumeric, last.isLowerAlphanumeric,
            bytes.allSatisfy({ $0.isLowerAlphanumeric || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { rawValue }
    package static func < (left: StepID, right: StepID) -> Bool { left.rawValue < right.rawValue }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let id = StepID(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "is no step id: \(text.prefix(80))"))
        }
        self = id
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// One instance of a step, e.g. `candles[BTCUSDT]`.
package struct InstanceID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    package var step: StepID
    /// What of the step's fan-out it is: a symbol, an interval, a shard of time (``Plan/instances(of:)``).
    package var instance: String

    package init(step: StepID, instance: String) {
        self.step = step
        self.instance = instance
    }

    package var description: String { "\(step)[\(instance)]" }
    package static func < (left: InstanceID, right: InstanceID) -> Bool {
        (left.step, left.instance) < (right.step, right.instance)
    }
}

/// Names that are derived from a queue: topics, collections, producers (design "Names").
package enum DerivedName {
    /// `<queue_id>-data` when one step of the plan produces, else `<queue_id>-<step>-data`; from the second
    /// run of a queue on with `-r<run>` behind it.
    ///
    /// Each run has topics of its own: readers keep their positions by topic, and those of a topic that was
    /// made anew under the same name would lie beyond its end.
    package static func dataTopic(
        _ queue: QueueID, producingStep: StepID, producingStepCount: Int, run: Int = 1
    ) -> String {
        let first = dataTopic(
            queue.rawValue, producingStep: producingStep, producingStepCount: producingStepCount)
        return run > 1 ? "\(first)-r\(run)" : first
    }

    /// The same for a queue that has no id yet, with what stands for it.
    package static func dataTopic(_ queue: String, producingStep: StepID, producingStepCount: Int) -> String {
        producingStepCount == 1 ? "\(queue)-data" : "\(queue)-\(producingStep)-data"
    }

    package static func deadLetterTopic(dataTopic: String) -> String { dataTopic + "-dead" }

    /// `transactional.id` of a loader; the prefix `sf-` lets one prefix ACL cover all.
    package static func transactionalID(_ queue: QueueID, _ id: InstanceID) -> String {
        "sf-\(queue)-\(id.step)-\(id.instance)"
    }

    /// The consumer group a connector commits to, for lag only.
    package static func group(_ queue: QueueID, _ id: InstanceID) -> String {
        "sf-\(queue)-\(id.step)-\(id.instance)"
    }

    /// `<symbol>_<type>_<yyyy_mm_dd>`; a symbol that begins with a digit gets the prefix `s_`, since no
    /// collection name may begin with one.
    package static func collection(symbol: Symbol, type: String, firstDay: CivilDate) -> CollectionName? {
        let lower = symbol.rawValue.lowercased()
        let head = lower.utf8.first?.isASCIIDigit == true ? "s_" + lower : lower
        return CollectionName("\(head)_\(type)_\(firstDay.underscoredText)")
    }

    /// `<target>__<suffix>/<instance>/<attempt>`.
    package static func producerID(target: Target, queue: QueueID, instance: String, attempt: Int) -> String {
        "\(target.rawValue)__\(queue.suffix)/\(instance)/\(attempt)"
    }
}

extension UInt8 {
    package var isLowerAlphanumeric: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || isASCIIDigit
    }
}
