/// Reads a trade recording: `<SYMBOL>.csv.gz` with the header `id,price,qty,quote_qty,time,is_buyer_maker`.
///
/// `quote_qty` is not read: it is price times quantity, and the shipped sources lack it.
enum TradeFile {
    /// - Throws: ``ReplayError`` `unreadable`, or `malformed` naming the line.
    static func read(_ path: String) throws(ReplayError) -> TradeTape {
        let bytes = try ReplayError.reading(path)
        var trades: [Trade] = []
        trades.reserveCapacity(bytes.count / 40)
        let badLine = bytes.withUnsafeBytes { bytes -> Int? in
            var lines = CommaLines(bytes)
            guard lines.next(), lines.field(0).elementsEqual("id".utf8) else { return 1 }
            while lines.next() {
                guard let trade = trade(lines), trades.last.map({ follows(trade, $0) }) ?? true else {
                    return lines.lineNumber
                }
                trades.append(trade)
            }
            return nil
        }
        if let badLine {
            throw ReplayError(.malformed, "read \(path)", "line \(badLine) is no trade, or out of order")
        }
        return TradeTape(trades)
    }

    private static func follows(_ trade: Trade, _ last: Trade) -> Bool {
        trade.id > last.id && trade.time >= last.time
    }

    private static func trade(_ line: CommaLines) -> Trade? {
        guard let id = line.number(0), let price = DecimalAmount(line.field(1)),
            let quantity = DecimalAmount(line.field(2)), let time = line.number(4)
        else { return nil }
        let side = line.field(5)
        guard side.elementsEqual("true".utf8) || side.elementsEqual("false".utf8) else { return nil }
        return Trade(
            id: id, price: price, quantity: quantity, time: time,
            isBuyerMaker: side.elementsEqual("true".utf8))
    }
}
