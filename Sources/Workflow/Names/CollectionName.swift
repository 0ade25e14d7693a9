/// A collection in the document store, e.g. `btcusdt_api_candles_1m_2024_08_01`.
///
/// ASCII letters, digits, `_` and `-`, beginning with a letter, at most 63 bytes: legal as a collection in
/// ArangoDB (traditional names, docs of server 3.12) and, quoted, as a table in PostgreSQL (63 bytes).
package struct CollectionName: Sendable, Hashable, CustomStringConvertible {
    package static let bytesMax = 63

    package let rawValue: String

    /// nil when the name breaks the rules above.
    package init?(_ rawValue: String) {
        let bytes = rawValue.utf8
        guard let first = bytes.first, bytes.count <= Self.bytesMax, first.isASCIILetter,
            bytes.allSatisfy({
                $0.isASCIILetter || $0.isASCIIDigit || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
            })
        else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { rawValue }
}

extension UInt8 {
    package var isASCIILetter: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }
    package var isASCIIDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
