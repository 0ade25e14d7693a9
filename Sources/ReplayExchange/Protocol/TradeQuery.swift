/// `GET /api/v3/trades` and `/api/v3/historicalTrades`: newest trades, or those from an id upwards.
struct TradeQuery: Sendable {
    let symbolName: String
    let fromID: Int64?
    let limit: Int

    init(_ parameters: Parameters) throws(Refusal) {
        symbolName = try parameters.symbolName()
        fromID = try parameters.number("fromId")
        limit = try parameters.limit()
    }

    func answer(from tape: TradeTape, now: Int64, unit: TimeUnit) -> Answer {
        let trades = tape.trades
        let upper = Selection.firstIndex(in: trades) { $0.time <= now }
        let lower = fromID.map { id in Selection.firstIndex(in: trades) { $0.id < id } } ?? 0
        let rows = Selection.take(limit, of: [min(lower, upper)..<upper], newest: fromID == nil)
        return Answer(rows: rows) { row, body in trades[row].write(unit: unit, to: &body) }
    }
}

/// `GET /api/v3/aggTrades`.
struct AggregateTradeQuery: Sendable {
    let symbolName: String
    let fromID: Int64?
    /// Unix milliseconds, both included.
    let start: Int64?
    let end: Int64?
    let limit: Int

    /// - Throws: ``Refusal``, -1128 for an id together with a time among them.
    init(_ parameters: Parameters) throws(Refusal) {
        symbolName = try parameters.symbolName()
        fromID = try parameters.number("fromId")
        (start, end) = try parameters.times()
        limit = try parameters.limit()
        if fromID != nil, start != nil || end != nil { throw .invalidCombination }
    }

    func answer(from tape: TradeTape, now: Int64, unit: TimeUnit) -> Answer {
        let trades = tape.aggregates
        let last = min(end ?? .max, now)
        let upper = Selection.firstIndex(in: trades) { $0.time <= last }
        var lower = 0
        if let fromID { lower = Selection.firstIndex(in: trades) { $0.id < fromID } }
        if let start { lower = Selection.firstIndex(in: trades) { $0.time < start } }
        let newest = fromID == nil && start == nil
        let rows = Selection.take(limit, of: [min(lower, upper)..<upper], newest: newest)
        return Answer(rows: rows) { row, body in trades[row].write(unit: unit, to: &body) }
    }
}

extension Answer {
    /// A JSON array of the objects that `write` appends.
    init(rows: [Range<Int>], write: (Int, inout [UInt8]) -> Void) {
        var body: [UInt8] = [UInt8(ascii: "[")]
        var count = 0
        for row in rows.joined() {
            if count > 0 { body.append(UInt8(ascii: ",")) }
            write(row, &body)
            count += 1
        }
        body.append(UInt8(ascii: "]"))
        self.init(bytes: body, recordCount: count)
    }
}

extension Trade {
    func write(unit: TimeUnit, to body: inout [UInt8]) {
        body.appendText("{\"id\":")
        body.appendNumber(id)
        body.appendText(",\"price\":\"")
        price.write(to: &body)
        body.appendText("\",\"qty\":\"")
        quantity.write(to: &body)
        body.appendText("\",\"quoteQty\":\"")
        price.times(quantity).write(to: &body)
        body.appendText("\",\"time\":")
        body.appendNumber(unit.fromMilliseconds(time))
        body.appendText(",\"isBuyerMaker\":")
        body.append(contentsOf: String(isBuyerMaker).utf8)
        body.appendText(",\"isBestMatch\":true}")
    }
}

extension AggregateTrade {
    func write(unit: TimeUnit, to body: inout [UInt8]) {
        body.appendText("{\"a\":")
        body.appendNumber(id)
        body.appendText(",\"p\":\"")
        price.write(to: &body)
        body.appendText("\",\"q\":\"")
        quantity.write(to: &body)
        body.appendText("\",\"f\":")
        body.appendNumber(firstTradeID)
        body.appendText(",\"l\":")
        body.appendNumber(lastTradeID)
        body.appendText(",\"T\":")
        body.appendNumber(unit.fromMilliseconds(time))
        body.appendText(",\"m\":")
        body.append(contentsOf: String(isBuyerMaker).utf8)
        body.appendText(",\"M\":true}")
    }
}
