import Crypto

/// What a range of records holds: how many, and a digest that is equal exactly when the records are.
package struct RangeDigest: Sendable, Hashable, CustomStringConvertible {
    package var count: Int64
    /// SHA-256 in lower-case hexadecimal.
    package var sha256: String
    package var firstKey: String?
    package var lastKey: String?

    package var description: String { "\(count) records, sha256 \(sha256)" }
}

/// Builds a ``RangeDigest`` from records in key order.
///
/// One line a record: the values of the shape's fields joined by commas, in the shape's order; decimals
/// without trailing zeros; an absent optional field is empty; each line ends with a line feed.
package struct RangeDigester {
    private let shape: RecordShape
    private var hash = SHA256()
    private var count: Int64 = 0
    private var firstKey: String?
    private var lastKey: String?

    package init(shape: RecordShape) {
        self.shape = shape
    }

    /// - Parameters:
    ///   - key: must be greater than the one before (byte order).
    ///   - values: one a field of the shape: text, decimals and integers as text, booleans `true`/`false`;
    ///     nil for an absent optional field.
    /// - Throws: ``RangeDigestError`` when a value is missing or malformed, or the order is wrong.
    package mutating func add(key: String, values: [String?]) throws(RangeDigestError) {
        if let lastKey, !lastKey.utf8.lexicographicallyPrecedes(key.utf8) {
            throw RangeDigestError(key: key, detail: "comes after \(lastKey): the order of keys is wrong")
        }
        guard values.count == shape.fields.count else {
            throw RangeDigestError(
                key: key, detail: "\(values.count) values for \(shape.fields.count) fields")
        }
        var line: [UInt8] = []
        line.reserveCapacity(256)
        for (field, value) in zip(shape.fields, values) {
            if !line.isEmpty { line.append(UInt8(ascii: ",")) }
            guard let value else {
                guard field.isOptional else {
                    throw RangeDigestError(key: key, detail: "\(field.name) is missing")
                }
                continue
            }
            guard field.kind == .decimal else {
                line.append(contentsOf: value.utf8)
                continue
            }
            guard let decimal = DecimalText.canonical(Array(value.utf8)) else {
                throw RangeDigestError(key: key, detail: "\(field.name) is no decimal: \(value.prefix(64))")
            }
            line.append(contentsOf: decimal)
        }
        line.append(UInt8(ascii: "\n"))
        hash.update(data: line)
        count += 1
        if firstKey == nil { firstKey = key }
        lastKey = key
    }

    package func finish() -> RangeDigest {
        return RangeDigest(
            count: count, sha256: hash.finalize().hexText, firstKey: firstKey, lastKey: lastKey)
    }
}

/// Why records cannot be digested.
package struct RangeDigestError: Error, Sendable, Equatable, CustomStringConvertible {
    package var key: String
    package var detail: String

    package var description: String { "record \(key): \(detail)" }
}

extension Sequence<UInt8> {
    /// Two lower-case hexadecimal digits a byte.
    package var hexText: String {
        map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
