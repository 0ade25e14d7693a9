import MarketData

/// Where the fields of scanned trades lie in the answer's bytes.
struct TradeTable: Sendable, Equatable {
    /// What is kept of a trade, in the order of a row of ``bounds``.
    enum Field: Int, CaseIterable {
        case id, price, quantity, time, isBuyerMaker, firstTradeID, lastTradeID
    }

    var ids: [Int64] = []
    /// Unix milliseconds.
    var times: [Int64] = []
    /// The first fill of each; empty for raw trades.
    var firstTradeIDs: [Int64] = []
    /// Begin and end of each field, quotes left out; absent ones are empty.
    var bounds: [UInt32] = []

    var rowCount: Int { ids.count }

    func range(row: Int, _ field: Field) -> Range<Int> {
        let index = (row * Field.allCases.count + field.rawValue) * 2
        return Int(bounds[index])..<Int(bounds[index + 1])
    }

    func fields(row: Int) -> TradeRecordWriter.Fields {
        TradeRecordWriter.Fields(
            id: range(row: row, .id), price: range(row: row, .price), quantity: range(row: row, .quantity),
            time: range(row: row, .time), isBuyerMaker: range(row: row, .isBuyerMaker),
            firstTradeID: range(row: row, .firstTradeID), lastTradeID: range(row: row, .lastTradeID))
    }
}

/// Reads exactly one shape: a JSON array of flat trade objects (REST reference, `aggTrades` and
/// `historicalTrades`). Members may come in any order, and unknown ones are passed.
struct TradeScanner {
    private typealias Field = TradeTable.Field

    private let names: [(text: [UInt8], field: Field)]
    private var table = TradeTable()
    /// Of the row that is being read.
    private var row: [Range<Int>?] = []

    private init(_ kind: TradeKind, bytesExpected: Int) {
        let texts: [(String, Field)] =
            switch kind {
            case .aggregate:
                [
                    ("a", .id), ("p", .price), ("q", .quantity), ("f", .firstTradeID), ("l", .lastTradeID),
                    ("T", .time), ("m", .isBuyerMaker),
                ]
            case .raw:
                [
                    ("id", .id), ("price", .price), ("qty", .quantity), ("time", .time),
                    ("isBuyerMaker", .isBuyerMaker),
                ]
            }
        names = texts.map { (Array($0.utf8), $1) }
        let rowsExpected = bytesExpected / 96 + 1
        table.ids.reserveCapacity(rowsExpected)
        table.times.reserveCapacity(rowsExpected)
        table.bounds.reserveCapacity(rowsExpected * Field.allCases.count * 2)
    }

    static func scan(_ bytes: [UInt8], _ kind: TradeKind) throws(ScanFailure) -> TradeTable {
        try bytes.withRawBytes { bytes throws(ScanFailure) in
            var scanner = TradeScanner(kind, bytesExpected: bytes.count)
            var cursor = try AnswerCursor(bytes)
            try cursor.scanArray { cursor throws(ScanFailure) in try scanner.scanRow(&cursor) }
            return scanner.table
        }
    }

    private mutating func scanRow(_ cursor: inout AnswerCursor) throws(ScanFailure) {
        row = Array(repeating: nil, count: Field.allCases.count)
        try cursor.expect("{")
        repeat {
            let name = try cursor.scanName()
            guard let field = names.first(where: { cursor.bytes[name].elementsEqual($0.text) })?.field else {
                try cursor.skipValue(depth: 0)
                continue
            }
            guard row[field.rawValue] == nil else { throw cursor.failure("a field is there twice") }
            row[field.rawValue] = try scanField(field, &cursor)
        } while try cursor.isAnotherElement(before: "}")
        for name in names where row[name.field.rawValue] == nil {
            throw cursor.failure("the field \(String(decoding: name.text, as: UTF8.self)) is missing")
        }
        for range in row { table.bounds.append(range ?? 0..<0) }
    }

    private mutating func scanField(
        _ field: Field, _ cursor: inout AnswerCursor
    ) throws(ScanFailure) -> Range<Int> {
        switch field {
        case .price, .quantity: return try cursor.scanDecimal()
        case .isBuyerMaker: return try cursor.scanBoolean()
        case .id, .time, .firstTradeID, .lastTradeID:
            let (value, range) = try cursor.scanInteger()
            if field == .id { table.ids.append(value) }
            if field == .time { table.times.append(value) }
            if field == .firstTradeID { table.firstTradeIDs.append(value) }
            return range
        }
    }
}
