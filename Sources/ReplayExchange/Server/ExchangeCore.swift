import Synchronization

/// What a request is, before HTTP is looked at any closer.
struct ExchangeRequest: Sendable {
    var path: String
    var parameters: [(name: String, value: String)]
    /// Client address; limits are kept per address.
    var address: String
    var userAgent: String
    /// Header `X-MBX-TIME-UNIT`.
    var timeUnit: String?

    /// Statistics tell workers on one machine apart by their User-Agent.
    var client: String { userAgent.isEmpty ? address : "\(address) \(userAgent)" }
}

/// The exchange itself: takes a request, says what to answer, knows nothing of sockets.
final class ExchangeCore: Sendable {
    struct Reply: Sendable {
        var status: Int
        var body: [UInt8]
        var contentType = "application/json;charset=UTF-8"
        var usedWeight: Int?
        var retryAfterSeconds: Int64?
        /// Close the connection half way through the body.
        var isCut = false
        var recordCount = 0
        /// Wait so long before sending.
        var delay = Duration.zero
    }

    let market: Market
    let clock: ExchangeClock
    let limits: WeightLimits?
    let rangeHoursMax: Int64?
    let faults: FaultInjector
    let statistics: StatisticsCollector
    let seed: UInt64
    private let ledger: Mutex<WeightLedger>

    init(market: Market, options: ReplayOptions) {
        self.market = market
        // Without any recording the present is the real one, so that `time` still makes sense.
        let end = options.now ?? market.endTime
        let real = ExchangeClock(start: 0, isMoving: false).realTime
        clock = ExchangeClock(start: end ?? real, isMoving: options.isClockMoving || end == nil)
        limits = options.limits
        rangeHoursMax = options.rangeHoursMax
        faults = FaultInjector(settings: options.faults, seed: options.seed)
        statistics = StatisticsCollector(seed: options.seed)
        seed = options.seed
        ledger = Mutex(WeightLedger(limits: options.limits ?? WeightLimits()))
    }

    /// Answers a request to one of the exchange's endpoints.
    func reply(to request: ExchangeRequest, endpoint: Endpoint) -> Reply {
        let arrival = ContinuousClock.now
        statistics.requestArrived(from: request.client, at: arrival)
        let plan = faults.plan(now: arrival)
        var reply = reply(to: request, endpoint: endpoint, outcome: plan.outcome)
        reply.delay += plan.latency
        if let seconds = reply.retryAfterSeconds {
            statistics.refused(request.client, retryAfterSeconds: seconds, at: arrival)
        }
        statistics.answered(
            reply.isCut ? "cut" : String(reply.status), recordCount: reply.isCut ? 0 : reply.recordCount)
        return reply
    }

    /// A file of the archive, with the faults of the API but for refusals, and those of files.
    func archiveReply(_ path: String, client: String) -> Reply {
        statistics.requestArrived(from: client, at: .now)
        let plan = faults.plan()
        let (isMissing, isDamaged) = faults.archivePlan()
        var reply = Reply(
            status: 404, body: Array("<html><body>404</body></html>".utf8), contentType: "text/html")
        let shelf = ArchiveShelf(market: market, now: clock.now, holes: faults.holes)
        if case .serverError(let status) = plan.outcome {
            reply = Reply(serverError: status, usedWeight: nil)
        } else if !isMissing, let file = shelf.file(path) {
            reply = Reply(status: 200, body: file.bytes, contentType: "application/octet-stream")
            if isDamaged { reply.body[reply.body.count / 2] ^= 1 }
            reply.isCut = plan.outcome == .cutBody
            reply.delay = faults.delay(for: file.symbol, recordCount: file.recordCount)
        }
        reply.delay += plan.latency
        statistics.answered(reply.isCut ? "cut" : "archive \(reply.status)", recordCount: 0)
        return reply
    }

    private func reply(
        to request: ExchangeRequest, endpoint: Endpoint, outcome: FaultInjector.Outcome
    ) -> Reply {
        if case .storm(let seconds) = outcome {
            return Reply(refusing: .tooMuchWeight(limits, retryAfterSeconds: seconds), usedWeight: nil)
        }
        let (refusal, usedWeight) = admit(request.address, weight: endpoint.weight)
        if let refusal { return Reply(refusing: refusal, usedWeight: usedWeight) }
        if case .serverError(let status) = outcome {
            return Reply(serverError: status, usedWeight: usedWeight)
        }
        do throws(Refusal) {
            let (answer, symbol) = try answer(request, endpoint: endpoint)
            var reply = Reply(status: 200, body: answer.bytes, usedWeight: usedWeight)
            reply.recordCount = answer.recordCount
            reply.isCut = outcome == .cutBody && answer.recordCount > 0
            if let symbol { reply.delay = faults.delay(for: symbol, recordCount: answer.recordCount) }
            return reply
        } catch {
            return Reply(refusing: error, usedWeight: usedWeight)
        }
    }

    func usedWeight(of address: String) -> Int {
        let now = clock.realTime
        return ledger.withLock { $0.usedWeight(of: address, now: now) }
    }

    /// Books the weight; a refusal when the client is over its limit.
    private func admit(_ address: String, weight: Int) -> (Refusal?, usedWeight: Int?) {
        guard let limits else { return (nil, nil) }
        let now = clock.realTime
        let (verdict, usedWeight) = ledger.withLock { ledger in
            let verdict = ledger.admit(address, weight: weight, now: now)
            return (verdict, ledger.usedWeight(of: address, now: now))
        }
        switch verdict {
        case .admitted:
            return (nil, usedWeight)
        case .limited(let seconds, let byRequestCount):
            let refusal: Refusal =
                byRequestCount
                ? .tooManyRequests(retryAfterSeconds: seconds)
                : .tooMuchWeight(limits, retryAfterSeconds: seconds)
            return (refusal, usedWeight)
        case .banned(let seconds, let until):
            return (.banned(until: until, retryAfterSeconds: seconds), usedWeight)
        }
    }

    /// - Returns: the answer, and the symbol whose records it holds.
    private func answer(
        _ request: ExchangeRequest, endpoint: Endpoint
    ) throws(Refusal) -> (Answer, symbol: String?) {
        guard let unit = TimeUnit(rawValue: request.timeUnit?.uppercased() ?? "MILLISECOND") else {
            throw .invalidTimeUnit
        }
        let parameters = try Parameters(request.parameters, endpoint: endpoint)
        let now = clock.now
        switch endpoint {
        case .ping:
            return (Answer(body: "{}"), nil)
        case .time:
            return (Answer(body: "{\"serverTime\":\(unit.fromMilliseconds(now))}"), nil)
        case .exchangeInfo:
            let symbols = try ExchangeInfo.symbols(parameters, in: market)
            let info = ExchangeInfo(symbols: symbols, limits: limits, serverTime: now)
            return (info.answer(unit: unit), nil)
        case .klines, .uiKlines:
            let query = try KlineQuery(parameters)
            let symbol = try symbol(query.symbolName)
            try checkRange(query.start, query.end)
            let holes = faults.holes(of: query.symbolName)
            return (query.answer(from: symbol, now: now, holes: holes, unit: unit), query.symbolName)
        case .aggTrades:
            let query = try AggregateTradeQuery(parameters)
            let tape = try symbol(query.symbolName).tape ?? TradeTape([])
            try checkRange(query.start, query.end)
            return (query.answer(from: tape, now: now, unit: unit), query.symbolName)
        case .trades, .historicalTrades:
            let query = try TradeQuery(parameters)
            let tape = try symbol(query.symbolName).tape ?? TradeTape([])
            return (query.answer(from: tape, now: now, unit: unit), query.symbolName)
        }
    }

    private func symbol(_ name: String) throws(Refusal) -> SymbolMarket {
        guard let symbol = market.symbols[name] else { throw .invalidSymbol }
        return symbol
    }

    private func checkRange(_ start: Int64?, _ end: Int64?) throws(Refusal) {
        guard let rangeHoursMax, let start, let end, end - start >= rangeHoursMax * 3_600_000 else { return }
        throw .lookupTooLong(hours: rangeHoursMax)
    }
}

extension ExchangeCore.Reply {
    init(refusing refusal: Refusal, usedWeight: Int?) {
        self.init(
            status: refusal.status, body: refusal.body, usedWeight: usedWeight,
            retryAfterSeconds: refusal.retryAfterSeconds)
    }

    /// A fault of the exchange: 500 and 503 with its JSON, 502 and 504 as a proxy in front of it answers.
    init(serverError status: Int, usedWeight: Int?) {
        switch status {
        case 500:
            let text = "An unknown error occurred while processing the request."
            self.init(refusing: Refusal(status: 500, -1000, text), usedWeight: usedWeight)
        case 503:
            let text =
                "Server is currently overloaded with other requests. Please try again in a few minutes."
            self.init(refusing: Refusal(status: 503, -1008, text), usedWeight: usedWeight)
        default:
            let text = status == 502 ? "Bad Gateway" : "Gateway Timeout"
            self.init(
                status: status, body: Array("<html><body><h1>\(status) \(text)</h1></body></html>".utf8),
                contentType: "text/html", usedWeight: usedWeight)
        }
    }
}

extension Refusal {
    static func tooMuchWeight(_ limits: WeightLimits?, retryAfterSeconds: Int64) -> Refusal {
        let limits = limits ?? WeightLimits()
        let unit = limits.windowUnit
        return Refusal(
            status: 429, -1003,
            "Too much request weight used; current limit is \(limits.weightMax) request weight per "
                + "\(unit.count) \(unit.name). Please use WebSocket Streams for live updates to avoid "
                + "polling the API.", retryAfterSeconds: retryAfterSeconds)
    }

    static func tooManyRequests(retryAfterSeconds: Int64) -> Refusal {
        Refusal(status: 429, -1003, "Too many requests queued.", retryAfterSeconds: retryAfterSeconds)
    }

    static func banned(until: Int64, retryAfterSeconds: Int64) -> Refusal {
        Refusal(
            status: 418, -1003,
            "Way too much request weight used; IP banned until \(until). Please use WebSocket Streams for "
                + "live updates to avoid bans.", retryAfterSeconds: retryAfterSeconds)
    }
}
