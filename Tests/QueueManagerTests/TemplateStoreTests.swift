import Logging
import ServiceRuntime
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct TemplateStoreTests {
    private func withStore(_ body: (TemplateStore) async throws -> Void) async throws {
        try await withPostgres { pool in
            try await EngineStore(pool).migrate()
            try await body(TemplateStore(pool))
        }
    }

    private func reference(_ text: String) throws -> TemplateReference {
        try #require(TemplateReference(text))
    }

    private func definition(_ name: String, interval: String = "5m") throws -> JSONValue {
        try MessageCodec.decode(
            JSONValue.self,
            fromText: #"""
                {"name":"\#(name)","parameters":{"symbols":{"type":"symbols"},"spare":{"type":"integer","default":1}},
                 "workflow":{"symbols":"${symbols}","type":"api_candles_\#(interval)","time_range":"2024-08-01:2024-08-02"}}
                """#)
    }

    @Test func `versions are numbered, and the newest again is no new one`() async throws {
        try await withStore { store in
            #expect(try await store.save(definition("a")) == .init(version: 1, isNew: true))
            #expect(try await store.save(definition("a")) == .init(version: 1, isNew: false))
            #expect(try await store.save(definition("a", interval: "1h")) == .init(version: 2, isNew: true))
            // An older one again is the newest from now on.
            #expect(try await store.save(definition("a")) == .init(version: 3, isNew: true))
            let second = try reference("a@2")
            let row = try #require(try await store.template(second))
            let expected = try Template(definition("a", interval: "1h"), version: 2)
            #expect(row.template.definition == expected.definition)
            #expect(row.createdAt != nil && row.template.version == 2)
            #expect(try await store.template(reference("a"))?.template.version == 3)
            #expect(try await store.template(reference("a@4")) == nil)
            #expect(try await store.template(reference("b")) == nil)
        }
    }

    @Test func `two that are stored at once get two numbers`() async throws {
        try await withStore { store in
            let definitions = try (0..<8).map { try definition("a", interval: $0 % 2 == 0 ? "5m" : "1h") }
            let saved = try await withThrowingTaskGroup(of: TemplateStore.Saved.self) { group in
                for definition in definitions { group.addTask { try await store.save(definition) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let new = saved.filter(\.isNew).map(\.version).sorted()
            #expect(new == Array(1...new.count) && new.count >= 2)
        }
    }

    @Test func `built-in templates are listed among the others and stand`() async throws {
        try await withStore { store in
            for name in ["zebra", "alpha", "easy", "minutes"] { _ = try await store.save(definition(name)) }
            var names: [String] = []
            var mark: String?
            repeat {
                let page = try await store.templates(after: mark, limit: 2)
                names += page.rows.map(\.template.name.rawValue)
                mark = page.next
            } while mark != nil
            #expect(
                names == [
                    "alpha", "candles_to_graph", "candles_to_model", "dummy", "easy", "historical_candles",
                    "historical_trades", "minutes", "zebra",
                ])
            let error = try await #require(throws: RequestError.self) {
                try await store.save(definition("dummy"))
            }
            #expect(error.code == .conflict && error.field == "name")
            let dummy = try #require(try await store.template(reference("dummy@1")))
            #expect(dummy.isBuiltIn)
            #expect(try await store.template(reference("dummy@2")) == nil)
        }
    }

    private func starter(_ store: TemplateStore, unknown: Set<String> = []) -> StartQueue {
        StartQueue(
            store: EngineStore(store.pool), templates: store,
            models: ModelPins(store: ModelStore(store.pool)),
            catalog: SymbolCatalog { symbols in
                SymbolCatalog.Answer(
                    unknown: symbols.filter { unknown.contains($0.rawValue) }, serverTime: 1_725_148_800_000)
            }, newTraceparent: { "" }, clock: { 1_725_148_800_000 },
            observe: EngineObserver(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, factory: PrometheusRegistry()
            ), create: { [pool = store.pool] in try await EngineStore(pool).create($0) })
    }

    private func request(_ template: String, symbols: [String] = ["BTCUSDT", "ETHUSDT"]) -> JSONValue {
        .object([
            "template": .string(template),
            "parameters": .object(["symbols": .array(symbols.map { .string($0) })]),
        ])
    }

    @Test func `a queue is started from a template, and a repeat outlives its next version`() async throws {
        try await withStore { store in
            _ = try await store.save(definition("minutes"))
            let start = starter(store)
            let first = try await start(body: request("minutes"), idempotencyKey: "k", traceparent: nil)
            let queue = try #require(try await start.store.queue(first.queueID)).queue
            #expect(queue.plan.template == "minutes@1" && queue.plan.steps[0].interval == "5m")
            #expect(first.queueID.rawValue.hasPrefix("wf-minutes-api_candles_5m-20240801-"))
            _ = try await store.save(definition("minutes", interval: "1h"))
            let again = try await start(body: request("minutes"), idempotencyKey: "k", traceparent: nil)
            #expect(again.queueID == first.queueID && !again.isNew)
            let other = try await start.validate(body: request("minutes"))
            #expect(other.plan.template == "minutes@2" && other.plan.steps[0].interval == "1h")
            #expect(other.warnings.map(\.field) == ["parameters.spare"])
            #expect(try await start.validate(body: request("minutes@1")).plan.template == "minutes@1")
        }
    }

    @Test func `what the exchange refuses is told with the place in the template`() async throws {
        try await withStore { store in
            _ = try await store.save(definition("minutes"))
            let start = starter(store, unknown: ["NOUSDT"])
            let error = try await #require(throws: RequestError.self) {
                try await start.validate(body: request("minutes", symbols: ["BTCUSDT", "NOUSDT"]))
            }
            #expect(error.field == "workflow.symbols[1]" && error.value == "NOUSDT")
            #expect(error.message.hasSuffix("(in template minutes@1, from the parameter symbols)"))
            let missing = try await #require(throws: RequestError.self) {
                try await start.validate(body: request("hours@2"))
            }
            #expect(missing.code == .notFound && missing.field == "template" && missing.value == "hours@2")
        }
    }
}
