/// A W3C trace context (Trace Context, Recommendation of 23 November 2021, section 3.2), version 00.
///
/// Text form: `00-<32 hex trace id>-<16 hex parent id>-<2 hex flags>`.
package struct Traceparent: Sendable, Hashable, CustomStringConvertible {
    /// 32 lower-case hex digits, not all zero.
    package let traceID: String
    /// 16 lower-case hex digits, not all zero.
    package let parentID: String
    /// Bit 0: sampled.
    package let flags: UInt8

    /// nil when the text is no valid traceparent. A version above 00 is read as 00, as the standard says.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, Self.isHex(parts[0], digits: 2), parts[0] != "ff",
            parts[0] != "00" || parts.count == 4,
            Self.isHex(parts[1], digits: 32), parts[1].contains(where: { $0 != "0" }),
            Self.isHex(parts[2], digits: 16), parts[2].contains(where: { $0 != "0" }),
            Self.isHex(parts[3], digits: 2), let flags = UInt8(parts[3], radix: 16)
        else { return nil }
        traceID = String(parts[1])
        parentID = String(parts[2])
        self.flags = flags
    }

    private init(traceID: String, parentID: String, flags: UInt8) {
        self.traceID = traceID
        self.parentID = parentID
        self.flags = flags
    }

    package var isSampled: Bool { flags & 1 == 1 }

    package var description: String { "00-\(traceID)-\(parentID)-\(Self.hex(UInt64(flags), digits: 2))" }

    /// A new trace, sampled.
    package static func new(using random: inout some RandomNumberGenerator) -> Traceparent {
        let high = random.next()
        let low = nonZero(using: &random)
        return Traceparent(
            traceID: hex(high, digits: 16) + hex(low, digits: 16),
            parentID: hex(nonZero(using: &random), digits: 16), flags: 1)
    }

    /// The same trace with a parent of our own, to hand on; flags this version does not define are dropped.
    package func child(using random: inout some RandomNumberGenerator) -> Traceparent {
        Traceparent(
            traceID: traceID, parentID: Self.hex(Self.nonZero(using: &random), digits: 16), flags: flags & 1)
    }

    private static func nonZero(using random: inout some RandomNumberGenerator) -> UInt64 {
        UInt64.random(in: 1...UInt64.max, using: &random)
    }

    private static func hex(_ number: UInt64, digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: digits - text.count) + text
    }

    private static func isHex(_ text: Substring, digits: Int) -> Bool {
        text.utf8.count == digits
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}
