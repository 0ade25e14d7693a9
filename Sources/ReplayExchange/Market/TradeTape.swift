/// One trade as recorded.
struct Trade: Sendable, Equatable {
    var id: Int64
    var price: DecimalAmount
    var quantity: DecimalAmount
    /// Unix milliseconds.
    var time: Int64
    var isBuyerMaker: Bool
}

/// Consecutive trades of one price, time and side, as the exchange joins the fills of one order.
struct AggregateTrade: Sendable, Equatable {
    var id: Int64
    var price: DecimalAmount
    var quantity: DecimalAmount
    var firstTradeID: Int64
    var lastTradeID: Int64
    var time: Int64
    var isBuyerMaker: Bool
}

/// The recorded trades of one symbol, by rising id, and the aggregate trades made from them.
struct TradeTape: Sendable {
    let trades: [Trade]
    let aggregates: [AggregateTrade]
    /// Whether two neighbouring ids differ by more than one somewhere.
    let hasHoles: Bool

    /// - Parameter trades: by rising id and, for times, never going back.
    init(_ trades: [Trade]) {
        self.trades = trades
        var aggregates: [AggregateTrade] = []
        var hasHoles = false
        for (index, trade) in trades.enumerated() {
            if index > 0, trades[index - 1].id + 1 != trade.id { hasHoles = true }
            if var last = aggregates.last, last.lastTradeID + 1 == trade.id, last.price == trade.price,
                last.time == trade.time, last.isBuyerMaker == trade.isBuyerMaker
            {
                last.quantity = last.quantity + trade.quantity
                last.lastTradeID = trade.id
                aggregates[aggregates.count - 1] = last
            } else {
                // The source does not know the exchange's own aggregate ids: they are counted from 1.
                aggregates.append(
                    AggregateTrade(
                        id: Int64(aggregates.count + 1), price: trade.price, quantity: trade.quantity,
                        firstTradeID: trade.id, lastTradeID: trade.id, time: trade.time,
                        isBuyerMaker: trade.isBuyerMaker))
            }
        }
        self.aggregates = aggregates
        self.hasHoles = hasHoles
    }
}
