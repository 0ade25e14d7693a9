import MarketData

/// Why a record can never become a document of its stream; shown to people who look at dead letters.
package struct UnreadableRecord: Error, Sendable, Hashable, CustomStringConvertible {
    package var reason: String

    package init(_ reason: String) { self.reason = reason }

    package var description: String { reason }
}

/// Finds the key of a record and checks that it is a record of this stream: JSON, all fields with the right
/// kinds, the stream's symbol and interval.
///
/// Fields beyond the shape are let through: a store keeps what it gets.
package struct RecordReader: Sendable {
    /// The longest key ArangoDB takes, in bytes.
    package static let keyBytesMax = 254

    private let symbol: Symbol
    private let interval: KlineInterval?
    private let shape: RecordShape
    private let pattern: CandlePattern?

    /// - Parameter interval: of candles; nil for trades, which have none.
    package init(symbol: Symbol, interval: KlineInterval?) {
        self.symbol = symbol
        self.interval = interval
        shape = interval == nil ? .trade : .candle
        pattern = interval.map { CandlePattern(symbol: symbol, interval: $0) }
    }

    /// Where the key stands in a record's value.
    package func key(in value: UnsafeRawBufferPointer?) throws(UnreadableRecord) -> Range<Int> {
        guard let value, !value.isEmpty else { throw UnreadableRecord("the record has no value") }
        if let range = pattern?.key(in: value) { return range }
        return try keyByFullParse(value)
    }

    private func keyByFullParse(_ value: UnsafeRawBufferPointer) throws(UnreadableRecord) -> Range<Int> {
        guard String(validating: value, as: UTF8.self) != nil else {
            throw UnreadableRecord("it is not UTF-8")
        }
        var found = [JSONScanner.Value?](repeating: nil, count: shape.fields.count)
        var problem: String?
        var scanner = JSONScanner(value)
        let isObject = scanner.readObject { name, member in
            if value[name].contains(UInt8(ascii: "\\")) {
                // It may spell a field of ours in another way, and a store would take it for that field.
                problem = "a field's name holds an escape"
            }
            guard let index = shape.fields.firstIndex(where: { value[name].elementsEqual($0.name.utf8) })
            else { return }
            if found[index] != nil { problem = "field \(shape.fields[index].name) is there twice" }
            found[index] = member
        }
        guard isObject else { throw UnreadableRecord("it is no JSON object") }
        if let problem { throw UnreadableRecord(problem) }
        for (field, member) in zip(shape.fields, found) {
            guard let member else {
                if field.isOptional { continue }
                throw UnreadableRecord("field \(field.name) is missing")
            }
            try check(field, member, value)
        }
        guard let key = found[0]?.range else { throw UnreadableRecord("field _key is missing") }
        try checkOwner(key, found, value)
        return key
    }

    private func check(
        _ field: RecordShape.Field, _ member: JSONScanner.Value, _ value: UnsafeRawBufferPointer
    ) throws(UnreadableRecord) {
        let text = value[member.range]
        let isRight =
            switch field.kind {
            case .text: member.kind == .string
            case .decimal: member.kind == .string && Self.isDecimal(text)
            case .integer: member.kind == .number && Self.isInteger(text)
            case .boolean: member.kind == .boolean
            }
        guard isRight else {
            throw UnreadableRecord("field \(field.name) is no \(field.kind) as it should be")
        }
    }

    /// The key is legal, and symbol, interval and key are this stream's: a stray record would never be
    /// counted in the stream's range.
    private func checkOwner(
        _ key: Range<Int>, _ found: [JSONScanner.Value?], _ value: UnsafeRawBufferPointer
    ) throws(UnreadableRecord) {
        guard (1...Self.keyBytesMax).contains(key.count), value[key].allSatisfy(Self.isKeyByte) else {
            throw UnreadableRecord("_key is no legal document key")
        }
        func text(_ name: String) -> Slice<UnsafeRawBufferPointer>? {
            guard let index = shape.fields.firstIndex(where: { $0.name == name }) else { return nil }
            return found[index].map { value[$0.range] }
        }
        guard text("symbol")?.elementsEqual(symbol.rawValue.utf8) == true else {
            throw UnreadableRecord("symbol is not \(symbol)")
        }
        guard let interval else {
            // Only aggregates have fills.
            let kind: TradeKind = text("first_trade_id") == nil ? .raw : .aggregate
            guard let id = text("trade_id").flatMap({ Int64(String(decoding: $0, as: UTF8.self)) }),
                value[key].elementsEqual(RecordKey.trade(symbol, kind, id: id).utf8),
                (text("last_trade_id") == nil) == (kind == .raw)
            else { throw UnreadableRecord("_key does not belong to trade_id") }
            return
        }
        guard text("interval")?.elementsEqual(interval.keyText.utf8) == true else {
            throw UnreadableRecord("interval is not \(interval.keyText)")
        }
        guard let digits = text("open_time"), let time = Int64(String(decoding: digits, as: UTF8.self)),
            value[key].elementsEqual(RecordKey.candle(symbol, interval, openTime: time).utf8)
        else { throw UnreadableRecord("_key does not belong to open_time") }
    }

    /// A sign, digits, a point and digits: what the exchange sends as a price or an amount.
    private static func isDecimal(_ text: Slice<UnsafeRawBufferPointer>) -> Bool {
        let unsigned = text.first == UInt8(ascii: "-") ? text.dropFirst() : text
        let parts = unsigned.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return (1...2).contains(parts.count) && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(isDigit) }
    }

    /// JSON has checked that it is a number; 18 digits fit 64 bits.
    private static func isInteger(_ text: Slice<UnsafeRawBufferPointer>) -> Bool {
        let unsigned = text.first == UInt8(ascii: "-") ? text.dropFirst() : text
        return (1...18).contains(unsigned.count) && unsigned.allSatisfy(isDigit)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// The characters of ArangoDB's document keys (server 3.12).
    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "_-.@()+,=;$!*'%:".utf8.contains(byte)
        }
    }
}
