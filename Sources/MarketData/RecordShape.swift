/// The fields of a kind of record, in the order of design "Records", for digests and checks.
package struct RecordShape: Sendable, Hashable {
    package enum FieldKind: Sendable, Hashable {
        /// A JSON string that is not a number: key, symbol, interval.
        case text
        /// A decimal the exchange sent as a string; digests drop trailing zeros.
        case decimal
        /// A JSON integer: times in milliseconds, counts, ids.
        case integer
        case boolean
    }

    package struct Field: Sendable, Hashable {
        package var name: String
        package var kind: FieldKind
        package var isOptional: Bool

        package init(_ name: String, _ kind: FieldKind, isOptional: Bool = false) {
            self.name = name
            self.kind = kind
            self.isOptional = isOptional
        }
    }

    package var fields: [Field]

    package init(fields: [Field]) {
        self.fields = fields
    }

    package static let candle = RecordShape(fields: [
        Field("_key", .text), Field("symbol", .text), Field("interval", .text), Field("open_time", .integer),
        Field("open", .decimal), Field("high", .decimal), Field("low", .decimal), Field("close", .decimal),
        Field("volume", .decimal), Field("close_time", .integer), Field("quote_volume", .decimal),
        Field("trades", .integer), Field("taker_buy_base", .decimal), Field("taker_buy_quote", .decimal),
    ])

    package static let trade = RecordShape(fields: [
        Field("_key", .text), Field("symbol", .text), Field("trade_id", .integer), Field("price", .decimal),
        Field("quantity", .decimal), Field("time", .integer), Field("is_buyer_maker", .boolean),
        Field("first_trade_id", .integer, isOptional: true),
        Field("last_trade_id", .integer, isOptional: true),
    ])
}
