import Workflow

/// JSON shapes of dead letters.
enum DeadLetterAnswer {
    /// Characters of a value in a list.
    private static let excerptMax = 200
    private static let refusedMax = 50

    /// - Parameter isWhole: with the whole value; a list shows its beginning.
    static func letter(_ letter: DeadLetter, isWhole: Bool) -> JSONValue {
        var fields: [String: JSONValue] = [
            "letter": .integer(letter.number), "key": .string(letter.key),
            "step": .string(letter.id.step.rawValue), "instance": .string(letter.id.instance),
            "topic": .string(letter.topic), "partition": .integer(Int64(letter.partition)),
            "offset": .integer(letter.offset), "reason": .string(letter.reason),
            "value_bytes": .integer(Int64(letter.valueBytes)), "first_seen": .string(letter.firstSeen),
            "state": .string(letter.state.rawValue),
            "settled_at": letter.settledAt.map { .string($0) } ?? .null,
            "settled_by": letter.settledBy.map { .string($0) } ?? .null,
            "is_edited": .bool(letter.editedValue != nil),
        ]
        let text = letter.value.map { String(decoding: $0, as: UTF8.self) }
        guard isWhole else {
            fields["value_excerpt"] = text.map { .string(String($0.prefix(excerptMax))) } ?? .null
            return .object(fields)
        }
        fields["value"] = text.map { .string($0) } ?? .null
        fields["is_value_cut"] = .bool(letter.isCut)
        fields["edited_value"] =
            letter.editedValue.map { .string(String(decoding: $0, as: UTF8.self)) } ?? .null
        fields["headers"] = letter.headers
        return .object(fields)
    }

    static func bulk(_ report: DeadLetterReplay.BulkReport) -> JSONValue {
        .object([
            "replayed": .integer(Int64(report.replayed)),
            "refused": .integer(Int64(report.refused.count)),
            "refused_letters": .array(
                report.refused.prefix(refusedMax).map {
                    .object(["letter": .integer($0.number), "reason": .string($0.reason)])
                }),
            "busy": .integer(Int64(report.busy)),
            "next_after": report.next.map { .integer($0) } ?? .null,
        ])
    }
}
