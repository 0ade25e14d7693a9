/// Why an answer's bytes are not what was asked for, and where.
struct ScanFailure: Error, Equatable {
    var offset: Int
    var reason: String
}

/// Walks through an answer of the exchange that has one known shape.
///
/// Written for such shapes because a general parser would make a string and a number of every field only to
/// write the same characters again. It is strict where the shape is fixed and tolerant where JSON is:
/// white space anywhere, any further elements.
struct AnswerCursor {
    /// Nesting of elements that are skipped.
    static let depthMax = 16
    /// Positions are kept in 32 bits.
    static let bytesMax = Int(UInt32.max) - 1

    let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    /// - Throws: ``ScanFailure`` for more than ``bytesMax`` bytes.
    init(_ bytes: UnsafeRawBufferPointer) throws(ScanFailure) {
        guard bytes.count <= Self.bytesMax else { throw ScanFailure(offset: 0, reason: "too long") }
        self.bytes = bytes
    }

    /// Passes an array that fills the answer; `element` reads one of its elements.
    mutating func scanArray(
        _ element: (inout AnswerCursor) throws(ScanFailure) -> Void
    ) throws(ScanFailure) {
        try expect("[")
        if next() == UInt8(ascii: "]") {
            position += 1
        } else {
            repeat {
                try element(&self)
            } while try isAnotherElement()
        }
        guard next() == nil else { throw failure("more after the array") }
    }

    /// `true` or `false`.
    mutating func scanBoolean() throws(ScanFailure) -> Range<Int> {
        let length = next() == UInt8(ascii: "t") ? 4 : 5
        let range = position..<min(position + length, bytes.count)
        guard bytes[range].elementsEqual("true".utf8) || bytes[range].elementsEqual("false".utf8) else {
            throw failure("true or false is missing")
        }
        position = range.upperBound
        return range
    }

    /// A member's name with its colon; the range leaves the quotes out. Escapes stay as they are.
    mutating func scanName() throws(ScanFailure) -> Range<Int> {
        guard next() == UInt8(ascii: "\"") else { throw failure("a name is missing") }
        let start = position + 1
        try skipString()
        let range = start..<(position - 1)
        try expect(":")
        return range
    }

    /// Digits, at most 18: a time, an id or a count.
    mutating func scanInteger() throws(ScanFailure) -> (value: Int64, range: Range<Int>) {
        _ = next()
        let start = position
        var value: Int64 = 0
        while position < bytes.count, case let digit = bytes[position] &- 0x30, digit < 10 {
            guard position - start < 18 else { throw failure("a number of more than 18 digits") }
            value = value &* 10 &+ Int64(digit)
            position += 1
        }
        guard position == start + 1 || (position > start && bytes[start] != UInt8(ascii: "0")) else {
            throw failure("a whole number is missing")
        }
        return (value, start..<position)
    }

    /// A string that is `digits(.digits)?`; the range leaves the quotes out.
    mutating func scanDecimal() throws(ScanFailure) -> Range<Int> {
        try expect("\"")
        let start = position
        var pointAt = -1
        while position < bytes.count {
            let byte = bytes[position]
            if byte &- 0x30 < 10 {
                position += 1
            } else if byte == UInt8(ascii: "."), pointAt < 0, position > start {
                pointAt = position
                position += 1
            } else {
                break
            }
        }
        guard position > start, pointAt != position - 1, position < bytes.count,
            bytes[position] == UInt8(ascii: "\"")
        else { throw failure("a decimal is missing") }
        position += 1
        return start..<(position - 1)
    }

    /// Passes any JSON value, without checking the inside of numbers and words.
    mutating func skipValue(depth: Int) throws(ScanFailure) {
        guard depth < Self.depthMax else { throw failure("nested too deep") }
        guard let first = next() else { throw failure("a value is missing") }
        switch first {
        case UInt8(ascii: "\""): try skipString()
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            let close = first + 2  // `]` and `}` follow their partners at a distance of two
            position += 1
            while let byte = next(), byte != close {
                if byte == UInt8(ascii: ",") || byte == UInt8(ascii: ":") {
                    position += 1
                } else {
                    try skipValue(depth: depth + 1)
                }
            }
            guard next() == close else { throw failure("a list is not closed") }
            position += 1
        default:
            let start = position
            while position < bytes.count, Self.isWordByte(bytes[position]) { position += 1 }
            guard position > start else { throw failure("a value is missing") }
        }
    }

    private mutating func skipString() throws(ScanFailure) {
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard position < bytes.count else { throw failure("a string is not closed") }
        position += 1
    }

    /// After an element: true at a comma, false at the closing bracket or brace, which is passed.
    mutating func isAnotherElement(before close: Unicode.Scalar = "]") throws(ScanFailure) -> Bool {
        switch next() {
        case UInt8(ascii: ","):
            position += 1
            return true
        case UInt8(ascii: close):
            position += 1
            return false
        default: throw failure("a comma or bracket is missing")
        }
    }

    mutating func expect(_ character: Unicode.Scalar) throws(ScanFailure) {
        guard next() == UInt8(ascii: character) else { throw failure("'\(character)' is missing") }
        position += 1
    }

    /// The next byte that is no white space, not passed; nil at the end.
    mutating func next() -> UInt8? {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            position += 1
        }
        return nil
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2E: true
        default: false
        }
    }

    func failure(_ reason: String) -> ScanFailure { ScanFailure(offset: position, reason: reason) }
}
