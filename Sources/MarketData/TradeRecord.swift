/// The two kinds of trades the exchange tells of; their ids are counted apart.
package enum TradeKind: String, Sendable, Hashable, CaseIterable {
    /// The fills of one taker order at one price and moment, as one record.
    case aggregate
    /// Each fill by itself.
    case raw

    /// Of a workflow's step, e.g. `api_trades`.
    package var type: String { self == .aggregate ? "api_trades" : "api_trades_raw" }

    package init?(type: String) {
        guard let kind = Self.allCases.first(where: { $0.type == type }) else { return nil }
        self = kind
    }
}

/// The wire form of a trade: one JSON object, decimals as the exchange sent them.
///
/// The writer takes byte ranges straight from the exchange's answer, as ``CandleRecordWriter`` does.
package struct TradeRecordWriter: Sendable {
    /// The fields of one trade as slices of `bytes`; ids and times are JSON numbers, `isBuyerMaker` is `true` or
    /// `false`, the others are the characters between the quotes.
    package struct Fields: Sendable {
        package var id: Range<Int>
        package var price: Range<Int>
        package var quantity: Range<Int>
        package var time: Range<Int>
        package var isBuyerMaker: Range<Int>
        /// The first and the last fill; empty for raw trades.
        package var firstTradeID: Range<Int>
        package var lastTradeID: Range<Int>

        package init(
            id: Range<Int>, price: Range<Int>, quantity: Range<Int>, time: Range<Int>,
            isBuyerMaker: Range<Int>, firstTradeID: Range<Int> = 0..<0, lastTradeID: Range<Int> = 0..<0
        ) {
            self.id = id
            self.price = price
            self.quantity = quantity
            self.time = time
            self.isBuyerMaker = isBuyerMaker
            self.firstTradeID = firstTradeID
            self.lastTradeID = lastTradeID
        }
    }

    /// `{"_key":"BTCUSDT-t-`
    private let head: [UInt8]
    /// `","symbol":"BTCUSDT","trade_id":`
    private let middle: [UInt8]
    private let kind: TradeKind

    package init(symbol: Symbol, kind: TradeKind) {
        self.kind = kind
        head = Array("{\"_key\":\"\(RecordKey.tradePrefix(symbol, kind))".utf8)
        middle = Array("\",\"symbol\":\"\(symbol)\",\"trade_id\":".utf8)
    }

    /// Appends the JSON text of one trade to `output`.
    ///
    /// - Precondition: `fields.id` is a whole number of at most ``RecordKey/tradeIDDigits`` digits without
    ///   leading zeros.
    package func write(_ fields: Fields, of bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        output.append(contentsOf: head)
        output.append(
            contentsOf: repeatElement(UInt8(ascii: "0"), count: RecordKey.tradeIDDigits - fields.id.count))
        output.append(contentsOf: bytes[fields.id])
        output.append(contentsOf: middle)
        output.append(contentsOf: bytes[fields.id])
        output.append(",\"price\":\"", bytes[fields.price])
        output.append("\",\"quantity\":\"", bytes[fields.quantity])
        output.append("\",\"time\":", bytes[fields.time])
        output.append(",\"is_buyer_maker\":", bytes[fields.isBuyerMaker])
        if kind == .aggregate {
            output.append(",\"first_trade_id\":", bytes[fields.firstTradeID])
            output.append(",\"last_trade_id\":", bytes[fields.lastTradeID])
        }
        output.append(UInt8(ascii: "}"))
    }
}

extension [UInt8] {
    /// The text around a field, and the field.
    mutating func append(_ name: StaticString, _ field: Slice<UnsafeRawBufferPointer>) {
        append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        append(contentsOf: field)
    }
}
