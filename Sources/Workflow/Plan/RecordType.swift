import MarketData

/// What kind of records a step's `type` names.
enum RecordType: Sendable, Hashable {
    /// nil: the interval stands elsewhere.
    case candles(KlineInterval?)
    case trades(TradeKind)

    private static let candlesName = "api_candles"

    /// For whoever wrote a type that there is not.
    static let hint =
        "api_candles_<interval>, e.g. api_candles_5m (intervals: "
        + KlineInterval.allCases.map(\.keyText).joined(separator: ", ") + "), "
        + TradeKind.allCases.map(\.type).joined(separator: " or ")

    /// - Throws: ``RequestError`` that names `type`, when there is no such type or interval.
    init(_ type: String, _ reader: ObjectReader) throws(RequestError) {
        if let kind = TradeKind(type: type) {
            self = .trades(kind)
            return
        }
        if type == Self.candlesName {
            self = .candles(nil)
            return
        }
        let prefix = Self.candlesName + "_"
        guard type.hasPrefix(prefix) else {
            throw reader.invalid("type", type, "There is no type \(type.prefix(40))", hint: Self.hint)
        }
        let text = String(type.dropFirst(prefix.count))
        guard let interval = KlineInterval(keyText: text) else {
            throw reader.invalid(
                "type", type, "There is no interval \(text.prefix(20))",
                hint: text == "1M" ? "A month is written 1mo" : "One of \(Self.intervals)")
        }
        self = .candles(interval)
    }

    /// What loads such records.
    var loader: Target {
        switch self {
        case .candles: .loaderAPICandles
        case .trades: .loaderAPITrades
        }
    }

    private static let intervals = KlineInterval.allCases.map(\.keyText).joined(separator: ", ")

    /// The interval of its records: `api_candles_5m`, or `api_candles` with `params.interval`; both given must agree.
    ///
    /// - Returns: nil for trades.
    /// - Throws: ``RequestError`` also for trades with an interval.
    func interval(
        parameter: String?, type: String, _ reader: ObjectReader
    ) throws(RequestError) -> KlineInterval? {
        let given = parameter.flatMap { KlineInterval(rawValue: $0) ?? KlineInterval(keyText: $0) }
        switch self {
        case .trades:
            guard let parameter else { return nil }
            throw reader.invalid(
                "params.interval", parameter, "Trades have no interval", hint: "Leave params.interval out")
        case .candles(let fromType):
            if let parameter, given == nil {
                throw reader.invalid(
                    "params.interval", parameter, "There is no interval \(parameter.prefix(20))",
                    hint: "One of \(Self.intervals)")
            }
            guard let interval = fromType ?? given else {
                throw RequestError(
                    .missingField, "The type \(type) needs an interval", field: reader.place("type"),
                    value: type, hint: "Write api_candles_5m, or give params.interval")
            }
            if let given, given != interval {
                throw reader.invalid(
                    "params.interval", given.keyText, "It disagrees with the type \(type)",
                    hint: "Leave params.interval out or write \(interval.keyText)")
            }
            return interval
        }
    }
}
