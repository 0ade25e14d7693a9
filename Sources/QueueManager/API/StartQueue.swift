import Crypto
import MarketData
import PostgresBridge
import ServiceRuntime
import Workflow

/// Creates a queue from the body of `POST /queues/start`, or says why not; nothing is created on refusal.
package struct StartQueue: Sendable {
    let store: EngineStore
    let templates: TemplateStore
    let models: ModelPins
    let catalog: SymbolCatalog
    let newTraceparent: @Sendable () -> String
    /// Unix milliseconds, for queues that ask nothing of the exchange.
    let clock: @Sendable () -> Int64
    let observe: EngineObserver
    /// Where queues are created, and seen to begin; several requests may share a transaction.
    let create: @Sendable (NewQueue) async throws -> EngineStore.Creation

    package struct Result: Sendable {
        package var queueID: QueueID
        package var isNew: Bool
        /// The new queue with its time of creation; nil where it was known.
        package var created: (queue: NewQueue, at: String)?
    }

    /// What a start would do.
    package struct Validation: Sendable {
        package var plan: Plan
        package var warnings: [PlanWarning]
    }

    package static let idempotencyKeyCharactersMax = 200

    package func callAsFunction(
        body: JSONValue, idempotencyKey: String?, traceparent: String?
    ) async throws -> Result {
        try checkKey(idempotencyKey)
        let hash = try Self.hash(body)
        // A repeat is answered before the exchange is asked: it must work also while that is away. And before
        // the template is read, which may have a newer version by now.
        if let idempotencyKey,
            let known = try await store.known(idempotencyKey: idempotencyKey, requestHash: hash)
        {
            return try result(of: known, queue: nil)
        }
        let (built, expansion) = try await plan(of: body)
        let plan = try await pinned(built, expansion)
        let asOf = try await checkWithExchange(plan, expansion)
        var queue = NewQueue(
            queueID: try makeID(for: plan), plan: plan, request: body, asOf: asOf,
            traceparent: traceparent ?? newTraceparent(),
            idempotencyKey: idempotencyKey, requestHash: hash)
        for _ in 1..<Self.idTriesMax {
            do {
                return try result(of: try await create(queue), queue: queue)
            } catch let error as PostgresError where error.sqlState == .uniqueViolation {
                // The random part of somebody's id is taken, ours or that of a request in the same transaction.
                queue.queueID = try makeID(for: plan)
            } catch let error as GroupCommitError {
                throw RequestError(
                    .unavailable, "The queue could not be created: \(error)", hint: "Try again in a moment")
            }
        }
        return try result(of: try await create(queue), queue: queue)
    }

    /// Ids are drawn anew this often.
    private static let idTriesMax = 5

    /// Everything that is checked before a queue is created; creates nothing.
    package func validate(body: JSONValue) async throws -> Validation {
        let (built, expansion) = try await plan(of: body)
        let plan = try await pinned(built, expansion)
        let time = try await checkWithExchange(plan, expansion)
        var warnings = PlanLint.warnings(plan, today: Self.day(of: time))
        if let expansion {
            for index in warnings.indices { warnings[index].field = "workflow.\(warnings[index].field)" }
            warnings += expansion.template.unusedParameters.map { name in
                PlanWarning(
                    .unusedParameter, "The workflow of \(expansion.template.reference) does not use it",
                    field: "parameters.\(name)")
            }
        }
        return Validation(plan: plan, warnings: warnings)
    }

    /// The plan of a request: its own, or that of the template it names.
    func plan(of body: JSONValue) async throws -> (plan: Plan, expansion: TemplateExpansion?) {
        guard let request = try TemplateRequest(body) else { return (try PlanBuilder().build(body), nil) }
        guard let row = try await templates.template(request.reference) else {
            throw TemplateRoutes.notFound(request.reference.description, field: "template")
        }
        let expansion = try TemplateExpansion(row.template, parameters: request.parameters)
        do {
            var plan = try PlanBuilder().build(expansion.body)
            plan.template = row.template.reference.description
            return (plan, expansion)
        } catch {
            throw expansion.explain(error)
        }
    }

    private func pinned(_ plan: Plan, _ expansion: TemplateExpansion?) async throws -> Plan {
        do {
            return try await models.pinned(plan)
        } catch let error as RequestError {
            throw expansion?.explain(error) ?? error
        }
    }

    private func result(of creation: EngineStore.Creation, queue: NewQueue?) throws -> Result {
        switch creation {
        case .known(let id): return Result(queueID: id, isNew: false)
        case .created(let time):
            guard let queue else { preconditionFailure("a look-up creates nothing") }
            observe(.queueCreated(queue.queueID))
            return Result(queueID: queue.queueID, isNew: true, created: (queue, time))
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
    private func checkWithExchange(_ plan: Plan, _ expansion: TemplateExpansion?) async throws -> Int64 {
        // Who loads nothing may run while the exchange is away.
        guard plan.steps.contains(where: { $0.target != .dummyService }) else { return clock() }
        let symbols = plan.symbols.compactMap { Symbol($0) }
        let answer: SymbolCatalog.Answer
        do {
            answer = try await catalog.check(symbols)
        } catch {
            throw RequestError(
                .unavailable, "The exchange could not be asked for the symbols: \(error)",
                hint: "Try again; BINANCE_API_URL says which exchange is asked")
        }
        do {
            try Self.check(plan, against: answer)
        } catch {
            throw expansion?.explain(error) ?? error
        }
        return answer.serverTime
    }

    private static func day(of time: Int64) -> CivilDate {
        CivilDate(daysSince1970: floorDivide(time, CivilDate.millisecondsPerDay))
    }

    private static func check(_ plan: Plan, against answer: SymbolCatalog.Answer) throws(RequestError) {
        if let unknown = answer.unknown.first, let index = plan.symbols.firstIndex(of: unknown.rawValue) {
            throw RequestError(
                .invalidValue, "The exchange does not know \(unknown)",
                field: plan.symbols.count == 1 ? "symbol" : "symbols[\(index)]", value: unknown.rawValue,
                hint: "GET /api/v3/exchangeInfo of the exchange lists its symbols")
        }
        let today = day(of: answer.serverTime)
        guard let range = DayRange(plan.timeRange), range.last <= today else {
            throw RequestError(
                .invalidValue, "time_range lies in the future: the exchange's day is \(today) (UTC)",
                field: "time_range", value: plan.timeRange, hint: "The last day may be \(today) at the latest"
            )
        }
    }

    private func makeID(for plan: Plan) throws -> QueueID {
        guard let range = DayRange(plan.timeRange), let step = plan.steps.first,
            let id = QueueID(
                subject: Self.subject(of: plan),
                type: step.type, firstDay: range.first, suffix: Self.randomSuffix())
        else { preconditionFailure("a built plan has steps, symbols and a range") }
        return id
    }

    private static func subject(of plan: Plan) -> String {
        if plan.symbols.count == 1 { return plan.symbols[0] }
        let template = plan.template.flatMap { TemplateReference($0) }
        return template?.name.rawValue ?? "\(plan.symbols.count)symbols"
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
