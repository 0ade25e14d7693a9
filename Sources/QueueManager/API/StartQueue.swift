import Crypto
import MarketData
import ServiceRuntime
import Workflow

/// Creates a queue from the body of `POST /queues/start`, or says why not; nothing is created on refusal.
package struct StartQueue: Sendable {
    let store: EngineStore
    let catalog: SymbolCatalog
    let newTraceparent: @Sendable () -> String
    let observe: EngineObserver

    package struct Result: Sendable {
        package var queueID: QueueID
        package var isNew: Bool
    }

    package static let idempotencyKeyCharactersMax = 200

    package func callAsFunction(
        body: JSONValue, idempotencyKey: String?, traceparent: String?
    ) async throws -> Result {
        let plan = try PlanBuilder().build(body)
        try checkKey(idempotencyKey)
        let hash = try Self.hash(body)
        // A repeat is answered before the exchange is asked: it must work also while that is away.
        if let idempotencyKey,
            let known = try await store.known(idempotencyKey: idempotencyKey, requestHash: hash)
        {
            return try result(of: known, queueID: nil)
        }
        let asOf = try await checkWithExchange(plan)
        let queueID = try makeID(for: plan)
        let queue = NewQueue(
            queueID: queueID, plan: plan, request: body, asOf: asOf,
            traceparent: traceparent ?? newTraceparent(),
            idempotencyKey: idempotencyKey, requestHash: hash)
        return try result(of: try await store.create(queue), queueID: queueID)
    }

    /// Everything that is checked before a queue is created; creates nothing.
    package func validate(body: JSONValue) async throws -> Plan {
        let plan = try PlanBuilder().build(body)
        _ = try await checkWithExchange(plan)
        return plan
    }

    private func result(of creation: EngineStore.Creation, queueID: QueueID?) throws -> Result {
        switch creation {
        case .known(let id): return Result(queueID: id, isNew: false)
        case .created:
            guard let queueID else { preconditionFailure("a look-up creates nothing") }
            observe(.queueCreated(queueID))
            return Result(queueID: queueID, isNew: true)
        case .idempotencyMismatch:
            throw RequestError(
                .idempotencyMismatch, "The Idempotency-Key was used with another request",
                field: "Idempotency-Key", hint: "Use a new key for a new request")
        }
    }

    private func checkKey(_ key: String?) throws(RequestError) {
        guard let key else { return }
        guard (1...Self.idempotencyKeyCharactersMax).contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw RequestError(
                .invalidValue, "The Idempotency-Key is not valid", field: "Idempotency-Key",
                value: String(key.prefix(40)),
                hint: "1 to \(Self.idempotencyKeyCharactersMax) printable ASCII characters without blanks")
        }
    }

    /// - Returns: the exchange's clock: what had closed by then is loaded, by every attempt alike.
    private func checkWithExchange(_ plan: Plan) async throws -> Int64 {
        let symbols = plan.symbols.compactMap { Symbol($0) }
        let answer: SymbolCatalog.Answer
        do {
            answer = try await catalog.check(symbols)
        } catch {
            throw RequestError(
                .unavailable, "The exchange could not be asked for the symbols: \(error)",
                hint: "Try again; BINANCE_API_URL says which exchange is asked")
        }
        if let unknown = answer.unknown.first, let index = plan.symbols.firstIndex(of: unknown.rawValue) {
            throw RequestError(
                .invalidValue, "The exchange does not know \(unknown)",
                field: plan.symbols.count == 1 ? "symbol" : "symbols[\(index)]", value: unknown.rawValue,
                hint: "GET /api/v3/exchangeInfo of the exchange lists its symbols")
        }
        let today = CivilDate(daysSince1970: floorDivide(answer.serverTime, CivilDate.millisecondsPerDay))
        guard let range = DayRange(plan.timeRange), range.last <= today else {
            throw RequestError(
                .invalidValue, "time_range lies in the future: the exchange's day is \(today) (UTC)",
                field: "time_range", value: plan.timeRange, hint: "The last day may be \(today) at the latest"
            )
        }
        return answer.serverTime
    }

    private func makeID(for plan: Plan) throws -> QueueID {
        guard let range = DayRange(plan.timeRange), let step = plan.steps.first,
            let id = QueueID(
                subject: plan.symbols.count == 1 ? plan.symbols[0] : "\(plan.symbols.count)symbols",
                type: step.type, firstDay: range.first, suffix: Self.randomSuffix())
        else { preconditionFailure("a built plan has steps, symbols and a range") }
        return id
    }

    private static func randomSuffix() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return String((0..<QueueID.suffixLength).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }

    /// Of the canonical JSON, so that white space and member order do not matter.
    private static func hash(_ body: JSONValue) throws -> String {
        SHA256.hash(data: try MessageCodec.encode(body)).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
