/// A name with rules of its own: read once where it comes in, stored and sent as plain text.
package protocol ValidatedName: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    var rawValue: String { get }
    /// nil when the name breaks the rules.
    init?(_ rawValue: String)
    /// The rules in a few words, for error messages.
    static var rules: String { get }
}

extension ValidatedName {
    package var description: String { rawValue }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let name = Self(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "is not \(Self.rules)"))
        }
        self = name
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// A lock or semaphore that steps of any queue share, e.g. `gpu-0`.
package struct ResourceName: ValidatedName {
    package static let charactersMax = 63
    package static let rules =
        "1 to \(charactersMax) of a-z, A-Z, 0-9, _, - and ., beginning with a letter or digit"

    package let rawValue: String

    package init?(_ rawValue: String) {
        let bytes = rawValue.utf8
        guard let first = bytes.first, bytes.count <= Self.charactersMax,
            first.isASCIILetter || first.isASCIIDigit,
            bytes.allSatisfy({ byte in
                byte.isASCIILetter || byte.isASCIIDigit || [0x2d, 0x2e, 0x5f].contains(byte)
            })
        else { return nil }
        self.rawValue = rawValue
    }
}

/// A template of workflows, e.g. `historical_candles`.
package struct TemplateName: ValidatedName {
    package static let charactersMax = 63
    package static let rules = "1 to \(charactersMax) of a-z, 0-9, _ and -, beginning with a letter"

    package let rawValue: String

    package init?(_ rawValue: String) {
        let bytes = rawValue.utf8
        guard let first = bytes.first, bytes.count <= Self.charactersMax, first.isLowerAlphanumeric,
            !first.isASCIIDigit,
            bytes.allSatisfy({ $0.isLowerAlphanumeric || $0 == 0x5f || $0 == 0x2d })
        else { return nil }
        self.rawValue = rawValue
    }
}
