/// A trading pair as the exchange writes it, e.g. `BTCUSDT`: 1 to 20 of `A-Z 0-9`.
///
/// The exchange's own rule is `^[\w\-._&&[^a-z]]{1,50}$`; names with other characters are no spot pairs we
/// can turn into topic, Job and collection names, and are refused.
package struct Symbol: Sendable, Hashable, Comparable, CustomStringConvertible {
    package static let charactersMax = 20

    package let rawValue: String

    /// nil when `rawValue` breaks the rule; lower case is not accepted silently.
    package init?(_ rawValue: String) {
        let bytes = rawValue.utf8
        guard (1...Self.charactersMax).contains(bytes.count),
            bytes.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) })
        else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { rawValue }
    package static func < (left: Symbol, right: Symbol) -> Bool { left.rawValue < right.rawValue }
}
