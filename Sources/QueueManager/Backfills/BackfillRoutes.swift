import Crypto
import Hummingbird
import Workflow

/// The REST API of backfills (docs/http-api.md).
package struct BackfillRoutes: Sendable {
    let store: BackfillStore
    let starter: QueueStarter
    /// For what `preview` tells ahead.
    let cost: ExchangeCost
    let wakeups: Wakeups
    let observe: ScheduleObserver

    /// Shards that `preview` lists.
    static let previewShardsMax = 100

    package func add(to router: Router<BasicRequestContext>) {
        let backfills = router.group("backfills")
        backfills.post("preview") { request, _ in try await preview(request) }
        backfills.post { request, _ in try await create(request) }
        backfills.get { request, _ in try await list(request) }
        backfills.get("{name}") { _, context in try await show(context) }
        backfills.get("{name}/shards") { request, context in try await shards(request, context) }
        for action in BackfillRequest.allCases {
            backfills.post("{name}/\(action.rawValue)") { _, context in try await ask(action, context) }
        }
    }

    private func preview(_ request: Request) async throws -> Response {
        let body = try await ObjectRequest.json(request, example: Self.example)
        let spec = try BackfillSpec(try ObjectReader(body, path: "", known: ["name"] + BackfillSpec.fields))
        let plan = try await check(spec)
        return try JSONAnswer.response(
            .ok, BackfillAnswer.preview(spec, try BackfillEstimate(spec, plan: plan, cost)))
    }

    private func create(_ request: Request) async throws -> Response {
        let key = try ObjectRequest.idempotencyKey(request)
        let body = try await ObjectRequest.json(request, example: Self.example)
        let reader = try ObjectReader(body, path: "", known: ["name"] + BackfillSpec.fields)
        let spec = try BackfillSpec(reader)
        let name = try reader.string("name").map { text throws(RequestError) in
            try ObjectRequest.name(text, reader)
        }
        let hash = try Self.hash(body)
        // A repeat is answered before the exchange is asked: it must work also while that is away.
        if let key, let known = try await store.known(key: key, requestHash: hash) {
            return try await answer(known, name)
        }
        _ = try await check(spec)
        let chosen = try name ?? Self.randomName(spec)
        return try await answer(
            try await store.create(chosen, spec, key: key, requestHash: hash), chosen)
    }

    private func answer(_ creation: BackfillStore.Creation, _ name: ObjectName?) async throws -> Response {
        switch creation {
        case .created:
            guard let name else { preconditionFailure("a look-up creates nothing") }
            wakeups.signal()
            observe(.backfillChanged(name, state: "created"))
            return try JSONAnswer.response(
                .created, try await answer(name), headers: [.location: "/backfills/\(name)"])
        case .known(let known):
            return try JSONAnswer.response(
                .ok, try await answer(known), headers: [.location: "/backfills/\(known)"])
        case .idempotencyMismatch:
            throw RequestError(
                .idempotencyMismatch, "The Idempotency-Key was used with another request",
                field: "Idempotency-Key", hint: "Use a new key for a new request")
        case .nameTaken:
            throw RequestError(
                .conflict, "There is a backfill \(name?.rawValue ?? "") already", field: "name",
                value: name?.rawValue, hint: "Give another name, or none")
        }
    }

    /// The last shard has the latest days, so all that can be wrong with one is wrong with it; the first is
    /// built as well, as the last may be shorter.
    private func check(_ spec: BackfillSpec) async throws -> Plan {
        try await ObjectRequest.inside("request") {
            let plan = try await starter.plan(try spec.body(ofShard: 1))
            _ = try await starter.validate(try spec.body(ofShard: spec.shardCount))
            return plan
        }
    }

    private func list(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["limit", "after"])
        let limit = try query.integer("limit", in: 1...BackfillStore.pageMax) ?? 50
        let after = try ObjectRequest.pageMark(query) { Int64($0) }
        let rows = try await store.backfills(before: after, limit: limit + 1)
        let page = rows.prefix(limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "backfills": .array(page.map { .object(BackfillAnswer.summary($0)) }),
                "next_after": rows.count > limit ? .string("\(page.last?.number ?? 0)") : .null,
            ]))
    }

    private func show(_ context: BasicRequestContext) async throws -> Response {
        try JSONAnswer.response(.ok, try await answer(try Self.name(context)))
    }

    private func shards(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        let query = try Query(request, known: ["limit", "after", "state"])
        let limit = try query.integer("limit", in: 1...BackfillStore.shardPageMax) ?? 200
        let state = try query.word("state", ShardMachine.State.self)
        let after = try query.integer("after", in: 0...BackfillSpec.shardsMax) ?? 0
        guard let (row, _, _) = try await store.backfill(name) else { throw Self.notFound(name.rawValue) }
        let rows = try await store.shards(of: name, state: state, after: after, limit: limit + 1)
        let page = rows.prefix(limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "shards": .array(page.map { BackfillAnswer.shard($0, row.spec) }),
                "next_after": rows.count > limit ? .integer(Int64(page.last?.number ?? 0)) : .null,
            ]))
    }

    private func ask(_ action: BackfillRequest, _ context: BasicRequestContext) async throws -> Response {
        let name = try Self.name(context)
        switch try await store.request(action, of: name) {
        case .unknown: throw Self.notFound(name.rawValue)
        case .met: return try JSONAnswer.response(.ok, try await answer(name))
        case .accepted(let state, _):
            wakeups.signal()
            observe(.backfillChanged(name, state: state.rawValue))
            return try JSONAnswer.response(.accepted, try await answer(name))
        case .refused(let state):
            throw RequestError(
                .conflict, "A backfill that is \(state.rawValue) cannot \(action.rawValue)", field: "name",
                value: name.rawValue, hint: "GET /backfills/\(name) tells its state")
        }
    }

    private func answer(_ name: ObjectName) async throws -> JSONValue {
        guard let (row, counts, progress) = try await store.backfill(name) else {
            throw Self.notFound(name.rawValue)
        }
        return BackfillAnswer.whole(row, counts, progress)
    }

    private static let example =
        "{\"name\":\"five-years\",\"time_range\":\"2020-01-01:2024-12-31\",\"shard_days\":31,"
        + "\"request\":{\"symbol\":\"BTCUSDT\",\"type\":\"api_candles_5m\"}}"

    /// `bf-<first day>-<6 of a-z 0-9>`.
    private static func randomName(_ spec: BackfillSpec) throws -> ObjectName {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        let suffix = String((0..<6).map { _ in letters[Int.random(in: 0..<letters.count)] })
        guard let name = ObjectName("bf-\(spec.range.first.compactText)-\(suffix)") else {
            preconditionFailure("a day and six letters make a name")
        }
        return name
    }

    /// Of the canonical JSON, so that white space and member order do not matter.
    private static func hash(_ body: JSONValue) throws -> String {
        SHA256.hash(data: try MessageCodec.encode(body)).map {
            let digits = String($0, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    private static func name(_ context: BasicRequestContext) throws(RequestError) -> ObjectName {
        let text = context.parameters.get("name") ?? ""
        guard let name = ObjectName(text) else { throw notFound(text) }
        return name
    }

    private static func notFound(_ name: String) -> RequestError {
        RequestError(
            .notFound, "There is no backfill \(name.prefix(80))", field: "name",
            value: String(name.prefix(80)),
            hint: "GET /backfills lists them")
    }
}
