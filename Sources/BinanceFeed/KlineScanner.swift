/// Where the fields of scanned rows lie in the answer's bytes.
struct KlineTable: Sendable, Equatable {
    /// Fields kept of a row; the exchange sends a twelfth that means nothing.
    static let fieldCount = 11

    var openTimes: [Int64] = []
    var closeTimes: [Int64] = []
    /// Begin and end of each field, quotes left out: `2 * fieldCount` numbers a row.
    var bounds: [UInt32] = []

    var rowCount: Int { openTimes.count }

    func range(row: Int, field: Int) -> Range<Int> {
        let index = (row * Self.fieldCount + field) * 2
        return Int(bounds[index])..<Int(bounds[index + 1])
    }
}

/// Reads exactly one shape: a JSON array of klines, each an array of 11 or more elements.
///
/// Written for this shape because a general parser would make a string and a number of every field only to
/// write the same characters again. It is strict where the shape is fixed and tolerant where JSON is:
/// white space anywhere, any further elements. Shape: REST reference, `klines`.
struct KlineScanner {
    /// Why `bytes` are no klines, and where.
    struct Failure: Error, Equatable {
        var offset: Int
        var reason: String
    }

    /// Nesting of elements that are skipped.
    static let depthMax = 16

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var table = KlineTable()

    private init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        let rowsExpected = bytes.count / 128 + 1
        table.openTimes.reserveCapacity(rowsExpected)
        table.closeTimes.reserveCapacity(rowsExpected)
        table.bounds.reserveCapacity(rowsExpected * KlineTable.fieldCount * 2)
    }

    /// - Parameter bytes: at most 4 GiB.
    static func scan(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> KlineTable {
        guard bytes.count < Int(UInt32.max) else { throw Failure(offset: 0, reason: "too long") }
        var scanner = KlineScanner(bytes)
        try scanner.scanRows()
        return scanner.table
    }

    static func scan(_ bytes: [UInt8]) throws(Failure) -> KlineTable {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(Failure) in try scan(bytes) }
        }
        return try result.get()
    }

    private mutating func scanRows() throws(Failure) {
        try expect(UInt8(ascii: "["))
        if next() == UInt8(ascii: "]") {
            position += 1
        } else {
            repeat {
                try scanRow()
            } while try isAnotherElement()
        }
        _ = next()
        guard position == bytes.count else { throw failure("more after the array") }
    }

    private mutating func scanRow() throws(Failure) {
        try expect(UInt8(ascii: "["))
        for field in 0..<KlineTable.fieldCount {
            switch field {
            case 0: table.openTimes.append(try scanInteger())
            case 6: table.closeTimes.append(try scanInteger())
            case 8: _ = try scanInteger()
            default: try scanDecimal()
            }
            let hasMore = try isAnotherElement()
            guard hasMore || field == KlineTable.fieldCount - 1 else {
                throw failure("a kline of \(field + 1) elements")
            }
            if !hasMore { return }
        }
        repeat {
            try skipValue(depth: 0)
        } while try isAnotherElement()
    }

    /// Digits, at most 18: a time, an id or a count.
    private mutating func scanInteger() throws(Failure) -> Int64 {
        _ = next()
        let start = position
        var value: Int64 = 0
        while position < bytes.count, case let digit = bytes[position] &- 0x30, digit < 10 {
            guard position - start < 18 else { throw failure("a number of more than 18 digits") }
            value = value &* 10 &+ Int64(digit)
            position += 1
        }
        guard position > start else { throw failure("a whole number is missing") }
        keep(start..<position)
        return value
    }

    /// A string that is `digits(.digits)?`.
    private mutating func scanDecimal() throws(Failure) {
        try expect(UInt8(ascii: "\""))
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
        keep(start..<position)
        position += 1
    }

    private mutating func keep(_ range: Range<Int>) {
        table.bounds.append(UInt32(truncatingIfNeeded: range.lowerBound))
        table.bounds.append(UInt32(truncatingIfNeeded: range.upperBound))
    }

    /// Passes any JSON value, without checking the inside of numbers and words.
    private mutating func skipValue(depth: Int) throws(Failure) {
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

    private mutating func skipString() throws(Failure) {
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard position < bytes.count else { throw failure("a string is not closed") }
        position += 1
    }

    /// After an element: true at a comma, false at the closing bracket, which is passed.
    private mutating func isAnotherElement() throws(Failure) -> Bool {
        switch next() {
        case UInt8(ascii: ","):
            position += 1
            return true
        case UInt8(ascii: "]"):
            position += 1
            return false
        default: throw failure("a comma or bracket is missing")
        }
    }

    private mutating func expect(_ byte: UInt8) throws(Failure) {
        guard next() == byte else { throw failure("'\(Character(UnicodeScalar(byte)))' is missing") }
        position += 1
    }

    /// The next byte that is no white space, not passed; nil at the end.
    private mutating func next() -> UInt8? {
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

    private func failure(_ reason: String) -> Failure { Failure(offset: position, reason: reason) }
}
