/// Names a schedule or a backfill: 1 to 63 of `a-z 0-9 _ -`, beginning and ending with a letter or digit.
package struct ObjectName: Sendable, Hashable, Comparable, CustomStringConvertible {
    package static let charactersMax = 63
    package static let form =
        "1 to \(charactersMax) of a-z, 0-9, _ and -, beginning and ending with a letter or digit"

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
    package static func < (left: ObjectName, right: ObjectName) -> Bool { left.rawValue < right.rawValue }
}
