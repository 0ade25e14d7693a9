/// Decimals as text: never a binary floating-point number, so nothing is rounded.
package enum DecimalText {
    /// The shortest text of the same value: no trailing zeros after the point, no bare point, `-0` is `0`.
    ///
    /// - Returns: nil when `bytes` is not `-?digits(.digits)?`, at most 64 bytes.
    package static func canonical(_ bytes: some BidirectionalCollection<UInt8>) -> [UInt8]? {
        var result = Array(bytes)
        guard (1...64).contains(result.count) else { return nil }
        let isNegative = result[0] == UInt8(ascii: "-")
        let digits = result[(isNegative ? 1 : 0)...]
        let parts = digits.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) })
        else {
            return nil
        }
        if parts.count == 2 {
            while result.last == UInt8(ascii: "0") { result.removeLast() }
            if result.last == UInt8(ascii: ".") { result.removeLast() }
        }
        // Leading zeros of the whole part beyond one carry no value either.
        let start = isNegative ? 1 : 0
        while result.count > start + 1, result[start] == UInt8(ascii: "0"), isDigit(result[start + 1]) {
            result.remove(at: start)
        }
        return isNegative && result.dropFirst() == [UInt8(ascii: "0")] ? [UInt8(ascii: "0")] : result
    }

    package static func canonical(_ text: String) -> String? {
        canonical(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
