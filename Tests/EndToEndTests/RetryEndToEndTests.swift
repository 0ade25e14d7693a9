import Foundation
import Glibc
import HTTPBridge
import Testing
import Workflow

/// A queue that failed is run again, through the real programs.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RetryEndToEndTests {
    /// 2024-08-01 00:00 UTC.
    private static let firstOpenTime: Int64 = 1_722_470_400_000

    @Test func `a queue whose storing failed is retried, and the store equals the source`() async throws {
        try await Rig.with { rig in
            // Slow enough that a heartbeat, every 10 s, tells of the first page before the last one is read.
            try await rig.setPace(100)
            let id = try await rig.api.start(
                try MessageCodec.decode(
                    JSONValue.self,
                    fromText: #"""
                        {"symbols":["BTCUSDT","1INCHUSDT"],"time_range":"2024-08-01:2024-08-07","steps":[
                         {"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
                         {"id":"store","target":"arango-connector","input":"load","params":{"attempts_max":1}}]}
                        """#))
            _ = try await rig.api.wait(for: id) { queue in
                let read = queue.instance("store", "BTCUSDT")?["records_read"]?.integer ?? 0
                return (1..<2016).contains(read) && rig.worker(id, step: "store", symbol: "BTCUSDT") != nil
            }
            try #require(rig.worker(id, step: "store", symbol: "BTCUSDT")).signalGroup(SIGKILL)
            try await rig.setPace(100_000)
            let failed = try await rig.api.waitUntilFinal(id)
            #expect(failed["status"]?.string == "failed")
            #expect(failed.instance("store", "1INCHUSDT")?["status"]?.string == "finished")

            try await Self.expectRefusal(rig, of: id)
            try await rig.api.ask("retry", of: id)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished", "\(queue)")
            #expect(queue["run"]?.integer == 2)
            // What was finished is kept, what had failed went over a new topic as a whole.
            #expect(queue.instance("store", "1INCHUSDT")?["attempt"]?.integer == 1)
            #expect(queue.instance("load", "1INCHUSDT")?["attempt"]?.integer == 1)
            let store = queue.instance("store", "BTCUSDT")
            #expect(store?["attempt"]?.integer == 2 && store?["failures"]?.integer == 0)
            #expect(store?["records_read"]?.integer == 2016)
            #expect((store?["duplicates"]?.integer ?? 0) > 0)
            for symbol in ["BTCUSDT", "1INCHUSDT"] {
                let served = try await rig.servedDigest(symbol, from: Self.firstOpenTime, days: 7)
                #expect(served.count == 2016)
                #expect(try await rig.storedDigest(symbol, firstDay: "2024-08-01") == served)
            }
            let again = try await rig.http.execute(
                HTTPRequest(.post, "\(rig.api.base)/queues/\(id)/retry"))
            #expect(again.status == 409)
        }
    }

    private static func expectRefusal(_ rig: Rig, of id: String) async throws {
        let answer = try await rig.http.execute(
            HTTPRequest(
                .post, "\(rig.api.base)/queues/\(id)/retry", body: Array(#"{"from":"nowhere"}"#.utf8)))
        let error = try MessageCodec.decode(JSONValue.self, from: answer.body)["error"]
        #expect(answer.status == 400 && error?["field"]?.string == "from")
        #expect(error?["hint"]?.string == "Its steps: load, store")
    }
}
