import MarketData

/// `GET /api/v3/exchangeInfo`.
///
/// Asset names, precisions and filters are derived from the recordings: the sources hold no exchangeInfo.
struct ExchangeInfo: Sendable {
    let symbols: [SymbolMarket]
    let limits: WeightLimits?
    let serverTime: Int64

    /// Quote assets of the exchange, longest first, so that `FDUSD` is found before `USD`.
    private static let quoteAssets = [
        "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "BIDR", "BTC", "ETH", "BNB", "EUR", "GBP", "TRY",
        "BRL", "JPY", "DAI", "XRP", "TRX", "USD",
    ]
    private static let statuses: Set<String> = ["TRADING", "HALT", "BREAK", "CANCEL_ONLY"]

    /// Finds the symbols a request asks for.
    ///
    /// - Throws: ``Refusal``: -1121 for the whole request when one symbol is unknown, -1128 for `symbol`
    ///   together with another selection, -1100 for a list that is none.
    static func symbols(_ parameters: Parameters, in market: Market) throws(Refusal) -> [SymbolMarket] {
        let selections = ["symbol", "symbols", "permissions", "symbolStatus"]
            .filter { parameters.text($0) != nil }
        if selections.contains("symbol") || selections.contains("symbols"), selections.count > 1 {
            throw .invalidCombination
        }
        var names = market.names
        if parameters.text("symbol") != nil {
            names = [try parameters.symbolName()]
        } else if let list = parameters.text("symbols") {
            names = try symbolList(list)
        }
        var found: [SymbolMarket] = []
        for name in names {
            guard let symbol = market.symbols[name] else { throw .invalidSymbol }
            found.append(symbol)
        }
        if let status = parameters.text("symbolStatus") {
            guard statuses.contains(status) else { throw .invalidSymbolStatus }
            if status != "TRADING" { return [] }
        }
        if let permissions = parameters.text("permissions"), !permissions.contains("SPOT") { return [] }
        return found
    }

    /// `["BTCUSDT","ETHUSDT"]`
    private static func symbolList(_ text: String) throws(Refusal) -> [String] {
        let legal = #"^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$"#
        guard text.hasPrefix("["), text.hasSuffix("]"), text.utf8.count >= 2 else {
            throw .illegalCharacters("symbols", legal: legal)
        }
        var names: [String] = []
        for item in text.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false) {
            guard item.hasPrefix("\""), item.hasSuffix("\""), item.utf8.count > 2 else {
                throw .illegalCharacters("symbols", legal: legal)
            }
            let name = String(item.dropFirst().dropLast())
            try Parameters.check(symbol: name, parameter: "symbols")
            guard !names.contains(name) else {
                throw Refusal(-1151, "Symbol is present multiple times in the list.")
            }
            names.append(name)
        }
        return names
    }

    func answer(unit: TimeUnit) -> Answer {
        let symbols = symbols.map(Self.entry).joined(separator: ",")
        return Answer(
            body: """
                {"timezone":"UTC","serverTime":\(unit.fromMilliseconds(serverTime)),\
                "rateLimits":[\(rateLimits)],"exchangeFilters":[],"symbols":[\(symbols)]}
                """)
    }

    /// Without limits there is nothing to keep to, and clients are told so.
    private var rateLimits: String {
        guard let limits else { return "" }
        let weight = limits.windowUnit
        let raw = WeightLimits.unit(limits.rawWindowSeconds)
        return """
            {"rateLimitType":"REQUEST_WEIGHT","interval":"\(weight.name)","intervalNum":\(weight.count),\
            "limit":\(limits.weightMax)},\
            {"rateLimitType":"RAW_REQUESTS","interval":"\(raw.name)","intervalNum":\(raw.count),\
            "limit":\(limits.rawRequestsMax)}
            """
    }

    private static func entry(_ market: SymbolMarket) -> String {
        let name = market.symbol.rawValue
        let quote = quoteAssets.first { name.hasSuffix($0) && name.count > $0.count } ?? ""
        let base = name.dropLast(quote.count)
        let tick = smallest(places: market.pricePlaces)
        let step = smallest(places: market.quantityPlaces)
        return """
            {"symbol":"\(name)","status":"TRADING","baseAsset":"\(base)","baseAssetPrecision":8,\
            "quoteAsset":"\(quote)","quotePrecision":8,"quoteAssetPrecision":8,\
            "baseCommissionPrecision":8,"quoteCommissionPrecision":8,\
            "orderTypes":["LIMIT","LIMIT_MAKER","MARKET"],"icebergAllowed":true,"ocoAllowed":true,\
            "otoAllowed":true,"quoteOrderQtyMarketAllowed":true,"allowTrailingStop":true,\
            "cancelReplaceAllowed":true,"amendAllowed":true,"isSpotTradingAllowed":true,\
            "isMarginTradingAllowed":false,"filters":[\
            {"filterType":"PRICE_FILTER","minPrice":"\(tick)","maxPrice":"1000000.00000000",\
            "tickSize":"\(tick)"},\
            {"filterType":"LOT_SIZE","minQty":"\(step)","maxQty":"92141578.00000000","stepSize":"\(step)"},\
            {"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,\
            "maxNotional":"9000000.00000000","applyMaxToMarket":false,"avgPriceMins":5}],\
            "permissions":[],"permissionSets":[["SPOT"]],"defaultSelfTradePreventionMode":"EXPIRE_MAKER",\
            "allowedSelfTradePreventionModes":["EXPIRE_TAKER","EXPIRE_MAKER","EXPIRE_BOTH"]}
            """
    }

    /// The smallest amount with so many places: 2 gives `0.01000000`.
    private static func smallest(places: Int) -> String {
        var units: Int128 = 1
        for _ in 0..<max(0, DecimalAmount.places - places) { units *= 10 }
        return DecimalAmount(units: units).text
    }
}
