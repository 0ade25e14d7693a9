import MarketData
import Testing
import Workflow

struct TransportTests {
    private static let load = #"{"id":"load","target":"loader-api-candles","type":"api_candles_5m"}"#
    private static let store = #"{"id":"store","target":"arango-connector","input":"load"}"#

    private func plan(_ steps: String, _ transport: String = #""shared""#) throws -> Plan {
        let body = """
            {"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-01","transport":\(transport),
             "steps":[\(steps)]}
            """
        return try PlanBuilder().build(MessageCodec.decode(JSONValue.self, fromText: body))
    }

    private func refusal(_ steps: String, _ transport: String = #""shared""#) -> RequestError? {
        do {
            _ = try plan(steps, transport)
            return nil
        } catch {
            return error as? RequestError
        }
    }

    @Test func `a request says how records travel, and dedicated is what it means when it says nothing`()
        throws
    {
        #expect(try plan("\(Self.load),\(Self.store)").transport == .shared)
        #expect(try plan("\(Self.load),\(Self.store)", #""dedicated""#).transport == .dedicated)
        let short = #"{"symbol":"BTCUSDT","type":"api_candles_5m","time_range":"2024-08-01:2024-08-01"}"#
        let built = try PlanBuilder().build(MessageCodec.decode(JSONValue.self, fromText: short))
        #expect(built.transport == .dedicated)
    }

    @Test
    func `a plan that an earlier version stored is dedicated, and a shared one is read again as it was`()
        throws
    {
        let shared = try plan("\(Self.load),\(Self.store)")
        #expect(try MessageCodec.decode(Plan.self, from: MessageCodec.encode(shared)) == shared)
        guard
            case .object(var members) = try MessageCodec.decode(
                JSONValue.self, from: MessageCodec.encode(shared))
        else {
            Issue.record("a plan is no object")
            return
        }
        members["transport"] = nil
        let old = try MessageCodec.decode(Plan.self, from: MessageCodec.encode(JSONValue.object(members)))
        #expect(old.transport == .dedicated)
    }

    @Test func `each instance that produces has one that stores, and only in a shared plan`() throws {
        let shared = try plan("\(Self.load),\(Self.store)")
        let (load, store) = (shared.steps[0].id, shared.steps[1].id)
        #expect(
            shared.sink(of: InstanceID(step: load, instance: "ETHUSDT"))
                == InstanceID(step: store, instance: "ETHUSDT"))
        #expect(shared.sink(of: InstanceID(step: store, instance: "ETHUSDT")) == nil)
        #expect(shared.isShared(store) && !shared.isShared(load))
        let dedicated = try plan("\(Self.load),\(Self.store)", #""dedicated""#)
        #expect(dedicated.sink(of: InstanceID(step: load, instance: "ETHUSDT")) == nil)
        #expect(!dedicated.isShared(store))
    }

    @Test(arguments: [
        (load, #""shared""#, "transport", "0 steps read the records of load"),
        (
            "\(load),\(store),{\"id\":\"copy\",\"target\":\"arango-connector\",\"input\":\"load\"}",
            #""shared""#,
            "transport", "2 steps read the records of load"
        ),
        (#"{"id":"a","target":"dummy-service"}"#, #""shared""#, "transport", "no step of it produces"),
        ("\(load),\(store)", #""both""#, "transport", "There is no transport both"),
        ("\(load),\(store)", "7", "transport", ""),
        (
            #"\(load),{"id":"store","target":"arango-connector","input":"load","start_timeout_seconds":5}"#,
            #""shared""#, "steps[1].start_timeout_seconds", "shared connectors"
        ),
        (
            #"\(load),{"id":"store","target":"arango-connector","input":"load","heartbeat_timeout_seconds":5}"#,
            #""shared""#, "steps[1].heartbeat_timeout_seconds", "shared connectors"
        ),
    ])
    func `what cannot be shared is refused by its field`(
        steps: String, transport: String, field: String, words: String
    ) throws {
        let steps = steps.replacing(#"\(load)"#, with: Self.load)
        let refusal = try #require(self.refusal(steps, transport))
        #expect(refusal.field == field)
        #expect(words.isEmpty || refusal.message.contains(words), "\(refusal.message)")
    }

    @Test func `all records of an instance go to one partition, those of many are spread`() throws {
        let queue = try #require(QueueID("wf-a-abc123"))
        let load = try #require(StepID("load"))
        let partitions = (0..<200).map {
            DerivedName.sharedPartition(queue, InstanceID(step: load, instance: "S\($0)"), count: 12)
        }
        #expect(Set(partitions) == Set(0..<12))
        #expect(
            DerivedName.sharedPartition(queue, InstanceID(step: load, instance: "S0"), count: 12)
                == partitions[0])
    }
}
