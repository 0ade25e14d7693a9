import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// What a worker is told, for each kind of fan-out.
@Suite(.timeLimit(.minutes(2)))
struct JobEnvironmentTests {
    /// The environments of every instance of a plan, by `step[instance]`.
    private func environments(_ body: String) async throws -> [String: [String: String]] {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let json = try MessageCodec.decode(JSONValue.self, fromText: body)
            let id = try #require(QueueID("wf-test-abc123"))
            _ = try await engine.store.create(
                NewQueue(
                    queueID: id, plan: try PlanBuilder().build(json), request: json, asOf: 5,
                    traceparent: nil,
                    idempotencyKey: nil, requestHash: ""))
            let count = try #require(try await engine.store.queue(id)).instances.count
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == count }
            #expect(engine.topicPartitions.all.max() ?? 0 == Int32(count / 2))
            return engine.launcher.environments
        }
    }

    @Test func `an interval and a shard of time reach the worker, and both sides meet on one partition`()
        async throws
    {
        let jobs = try await environments(
            #"""
            {"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-03","steps":[
             {"id":"load","target":"loader-api-candles","type":"api_candles","heartbeat_timeout_seconds":12,
              "fan_out":{"by":["symbol","interval","time"],"intervals":["5m","1M"],"shard_days":2}},
             {"id":"store","target":"arango-connector","input":"load"}]}
            """#)
        #expect(jobs.count == 16)
        let load = try #require(jobs["load[ETHUSDT-1mo-20240803]"])
        #expect(load["SYMBOL"] == "ETHUSDT" && load["SYMBOLS"] == nil)
        #expect(load["TYPE"] == "api_candles_1mo" && load["INTERVAL"] == "1M")
        #expect(load["TIME_RANGE"] == "2024-08-03:2024-08-03" && load["LEASE_SECONDS"] == "12")
        let store = try #require(jobs["store[ETHUSDT-1mo-20240803]"])
        #expect(store["KAFKA_PARTITIONS"] == "7" && load["KAFKA_PARTITIONS"] == "7")
        #expect(store["KAFKA_TOPIC"] == "wf-test-abc123-data" && load["KAFKA_TOPIC"] == store["KAFKA_TOPIC"])
        #expect(store["COLLECTION_NAME"] == "ethusdt_api_candles_1mo_2024_08_01")
        #expect(store["LEASE_SECONDS"] == nil)
        #expect(
            Set(jobs.filter { $0.key.hasPrefix("load") }.compactMap { $0.value["KAFKA_PARTITIONS"] }).count
                == 8)
    }

    @Test func `a builder of graphs is told what to read, what to write and how`() async throws {
        let jobs = try await environments(
            #"""
            {"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-03","steps":[
             {"id":"g","target":"graph-builder",
              "params":{"collections":["a","b"],"trade_collections":"t","interval":"1h","top_k":3}}]}
            """#)
        let job = try #require(jobs["g[all]"])
        #expect(job["COLLECTION_INPUTS"] == "a,b" && job["TRADE_COLLECTION_INPUTS"] == "t")
        #expect(job["TRADE_TYPE"] == "api_trades" && job["GRAPH_COLLECTION"] == "market_graph_1h")
        #expect(job["SYMBOLS"] == "BTCUSDT,ETHUSDT" && job["INTERVAL"] == "1h" && job["GRAPH_TOP_K"] == "3")
        #expect(job["TYPE"] == "graph_build" && job["COLLECTION_NAME"] == nil)
    }

    @Test func `an instance for all symbols gets them all`() async throws {
        let jobs = try await environments(
            #"""
            {"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-03","steps":[
             {"id":"a","target":"dummy-service","fan_out":"none"}]}
            """#)
        let job = try #require(jobs["a[all]"])
        #expect(job["SYMBOL"] == "all" && job["SYMBOLS"] == "BTCUSDT,ETHUSDT" && job["INSTANCE"] == "all")
    }
}
