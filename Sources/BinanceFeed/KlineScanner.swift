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

/// Reads exactly one shape: a JSON array of klines, each an array of 11 or more elements (REST reference,
/// `klines`).
struct KlineScanner {
    private var table = KlineTable()

    private init(bytesExpected: Int) {
        let rowsExpected = bytesExpected / 128 + 1
        table.openTimes.reserveCapacity(rowsExpected)
        table.closeTimes.reserveCapacity(rowsExpected)
        table.bounds.reserveCapacity(rowsExpected * KlineTable.fieldCount * 2)
    }

    static func scan(_ bytes: UnsafeRawBufferPointer) throws(ScanFailure) -> KlineTable {
        var scanner = KlineScanner(bytesExpected: bytes.count)
        var cursor = try AnswerCursor(bytes)
        try cursor.scanArray { cursor throws(ScanFailure) in try scanner.scanRow(&cursor) }
        return scanner.table
    }

    static func scan(_ bytes: [UInt8]) throws(ScanFailure) -> KlineTable {
        try bytes.withRawBytes { bytes throws(ScanFailure) in try scan(bytes) }
    }

    private mutating func scanRow(_ cursor: inout AnswerCursor) throws(ScanFailure) {
        try cursor.expect("[")
        for field in 0..<KlineTable.fieldCount {
            try scanField(field, &cursor)
            let hasMore = try cursor.isAnotherElement()
            guard hasMore || field == KlineTable.fieldCount - 1 else {
                throw cursor.failure("a kline of \(field + 1) elements")
            }
            if !hasMore { return }
        }
        repeat {
            try cursor.skipValue(depth: 0)
        } while try cursor.isAnotherElement()
    }

    private mutating func scanField(_ field: Int, _ cursor: inout AnswerCursor) throws(ScanFailure) {
        switch field {
        case 0, 6, 8:
            let (value, range) = try cursor.scanInteger()
            if field == 0 { table.openTimes.append(value) }
            if field == 6 { table.closeTimes.append(value) }
            table.bounds.append(range)
        default: table.bounds.append(try cursor.scanDecimal())
        }
    }
}

extension [UInt32] {
    /// Begin and end of a field.
    mutating func append(_ range: Range<Int>) {
        append(UInt32(truncatingIfNeeded: range.lowerBound))
        append(UInt32(truncatingIfNeeded: range.upperBound))
    }
}

extension [UInt8] {
    /// As `withUnsafeBytes`, with the type of the error kept.
    func withRawBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let result = withUnsafeBytes { bytes in
            Result { () throws(Failure) in try body(bytes) }
        }
        return try result.get()
    }
}
