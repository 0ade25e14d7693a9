import MarketData

/// Reads the lines of the archive's files: commas between, no quotes. A line of names is passed: the files of
/// spot have none so far, those of other markets do.
///
/// Times are milliseconds, from 2025 on microseconds (16 digits); the first 13 digits of those are the
/// milliseconds that the REST API gives.
struct ArchiveScanner {
    private static let millisecondDigits = 13
    private static let microsecondDigits = 16
    /// Stands behind the lines, so that `True` and `False` have a place in the API's own spelling.
    private static let booleans = Array("truefalse".utf8)

    private let bytes: UnsafeRawBufferPointer
    /// Where the lines end and the booleans begin.
    private let end: Int
    private var position = 0

    private init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        end = bytes.count - Self.booleans.count
        if end > 0, let first = bytes.first, Self.isLetter(first) { passLine() }
    }

    static func candles(_ lines: [UInt8]) throws(ScanFailure) -> (bytes: [UInt8], table: KlineTable) {
        let bytes = lines + booleans
        let table = try bytes.withRawBytes { bytes throws(ScanFailure) in
            var scanner = ArchiveScanner(bytes)
            var table = KlineTable()
            while scanner.position < scanner.end {
                for field in 0..<KlineTable.fieldCount { try scanner.scanCandleField(field, into: &table) }
                scanner.passLine()
            }
            return table
        }
        return (bytes, table)
    }

    static func trades(
        _ lines: [UInt8], _ kind: TradeKind
    ) throws(ScanFailure) -> (bytes: [UInt8], table: TradeTable) {
        let bytes = lines + booleans
        let table = try bytes.withRawBytes { bytes throws(ScanFailure) in
            var scanner = ArchiveScanner(bytes)
            var table = TradeTable()
            while scanner.position < scanner.end {
                try scanner.scanTrade(kind, into: &table)
                scanner.passLine()
            }
            return table
        }
        return (bytes, table)
    }

    private mutating func scanCandleField(_ field: Int, into table: inout KlineTable) throws(ScanFailure) {
        switch field {
        case 0, 6:
            let (time, range) = try scanTime()
            if field == 0 { table.openTimes.append(time) } else { table.closeTimes.append(time) }
            table.bounds.append(range)
        case 8: table.bounds.append(try scanInteger().range)
        default: table.bounds.append(try scanDecimal())
        }
    }

    /// `id,price,qty,quote,time,maker,best`; for aggregates `id,price,qty,first,last,time,maker,best`.
    private mutating func scanTrade(_ kind: TradeKind, into table: inout TradeTable) throws(ScanFailure) {
        let (id, idRange) = try scanInteger()
        let price = try scanDecimal()
        let quantity = try scanDecimal()
        var (first, last) = (0..<0, 0..<0)
        if kind == .aggregate {
            let (firstID, range) = try scanInteger()
            table.firstTradeIDs.append(firstID)
            first = range
            last = try scanInteger().range
        } else {
            _ = try scanDecimal()
        }
        let (time, timeRange) = try scanTime()
        let isBuyerMaker = try scanBoolean()
        table.ids.append(id)
        table.times.append(time)
        for range in [idRange, price, quantity, timeRange, isBuyerMaker, first, last] {
            table.bounds.append(range)
        }
    }

    /// The characters up to the next comma or the line's end, the comma passed.
    private mutating func scanField() throws(ScanFailure) -> Range<Int> {
        let start = position
        while position < end, bytes[position] != UInt8(ascii: ","), !Self.isLineEnd(bytes[position]) {
            position += 1
        }
        guard position > start else { throw failure("a field is missing") }
        let range = start..<position
        if position < end, bytes[position] == UInt8(ascii: ",") { position += 1 }
        return range
    }

    private mutating func passLine() {
        while position < end, bytes[position] != UInt8(ascii: "\n") { position += 1 }
        position += 1
    }

    private mutating func scanInteger() throws(ScanFailure) -> (value: Int64, range: Range<Int>) {
        let range = try scanField()
        let digits = bytes[range]
        let isPlain = digits.count == 1 || digits.first != UInt8(ascii: "0")
        guard digits.count <= 18, isPlain, digits.allSatisfy(Self.isDigit) else {
            throw failure("a whole number is missing")
        }
        return (digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }, range)
    }

    private mutating func scanTime() throws(ScanFailure) -> (value: Int64, range: Range<Int>) {
        let (value, range) = try scanInteger()
        guard range.count == Self.microsecondDigits else { return (value, range) }
        return (value / 1_000, range.prefix(Self.millisecondDigits))
    }

    private mutating func scanDecimal() throws(ScanFailure) -> Range<Int> {
        let range = try scanField()
        let parts = bytes[range].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(Self.isDigit) }) else {
            throw failure("a decimal is missing")
        }
        return range
    }

    private mutating func scanBoolean() throws(ScanFailure) -> Range<Int> {
        switch String(decoding: bytes[try scanField()], as: UTF8.self).lowercased() {
        case "true": return end..<(end + 4)
        case "false": return (end + 4)..<(end + 9)
        default: throw failure("true or false is missing")
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLineEnd(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
    }

    private func failure(_ reason: String) -> ScanFailure { ScanFailure(offset: position, reason: reason) }
}
