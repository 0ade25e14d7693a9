import Foundation
import HTTPBridge
import LocalStack
import Testing
import Workflow

/// What the plan language promises, through the real programs.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PlanEndToEndTests {
    /// 2024-08-01 00:00 UTC.
    private static let firstOpenTime: Int64 = 1_722_470_400_000

    private func json(_ text: String) throws -> JSONValue {
        try MessageCodec.decode(JSONValue.self, fromText: text)
    }

    @Test func `shards and intervals of one symbol store exactly what the exchange serves`() async throws {
        try await Rig.with { rig in
            let body = try json(
                #"""
                {"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-03","max_parallel":4,"steps":[
                 {"id":"load","target":"loader-api-candles","type":"api_candles","heartbeat_timeout_seconds":20,
                  "fan_out":{"by":["symbol","interval","time"],"intervals":["5m","1h"],"shard_days":2}},
                 {"id":"store","target":"arango-connector","input":"load"},
                 {"id":"sum","target":"dummy-service","fan_out":"none","after":["load"],
                  "when":[{"step":"store","field":"records_written","op":">=","value":936}]},
                 {"id":"clean","target":"dummy-service","fan_out":"none",
                  "when":[{"step":"store","field":"status","op":"!=","value":"finished"}]}]}
                """#)
            let plan = try await rig.api.validate(body)
            #expect(plan["instances"]?.integer == 10)
            #expect(plan["estimate"]?["records_max"]?.integer == 936)
            let queue = try await rig.api.waitUntilFinal(try await rig.api.start(body))
            #expect(queue["status"]?.string == "finished", "\(queue)")
            let written = ["5m-20240801": 576, "5m-20240803": 288, "1h-20240801": 48, "1h-20240803": 24]
            for (shard, count) in written {
                let store = queue.instance("store", "BTCUSDT-\(shard)")
                #expect(store?["records_written"]?.integer == Int64(count))
                // Its neighbours in the collection are not counted as its own.
                #expect(store?["extra"]?["documents_in_range"]?.integer == Int64(count))
            }
            #expect(queue.instance("sum", "all")?["status"]?.string == "finished")
            #expect(queue.instance("clean", "all")?["reason"]?.string == "condition_not_met")
            let served = try await rig.servedDigest("BTCUSDT", from: Self.firstOpenTime, days: 3)
            #expect(served.count == 864)
            #expect(try await rig.storedDigest("BTCUSDT", firstDay: "2024-08-01") == served)
        }
    }

    @Test func `a clean-up step runs after a failure, which the queue still tells`() async throws {
        try await Rig.with { rig in
            let id = try await rig.api.start(
                try json(
                    #"""
                    {"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-01","steps":[
                     {"id":"work","target":"dummy-service","params":{"fail_after":0,"fail_final":true}},
                     {"id":"next","target":"dummy-service","after":["work"]},
                     {"id":"clean","target":"dummy-service","params":{"seconds":0},
                      "when":[{"step":"work","field":"status","op":"==","value":"failed"}]}]}
                    """#))
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "failed")
            #expect(
                queue["reason"]?.string
                    == "work[BTCUSDT] and 1 more did not finish: It was asked to fail")
            #expect(queue.instance("clean", "BTCUSDT")?["status"]?.string == "finished")
            #expect(queue.instance("next", "BTCUSDT")?["reason"]?.string == "step work did not finish")
        }
    }

    @Test func `a template is stored, listed, shown and started, also by command`() async throws {
        try await Rig.with { rig in
            let definition = #"""
                {"name":"hours","description":"By the hour.","parameters":{"symbols":{"type":"symbols"},"days":{"type":"time_range"}},
                 "workflow":{"symbols":"${symbols}","time_range":"${days}","type":"api_candles_1h"}}
                """#
            func post(_ path: String, _ body: String) async throws -> (Int, JSONValue) {
                let answer = try await rig.http.execute(
                    HTTPRequest(.post, "\(rig.api.base)\(path)", body: Array(body.utf8)))
                return (answer.status, try MessageCodec.decode(JSONValue.self, from: answer.body))
            }
            let (created, first) = try await post("/templates", definition)
            #expect(created == 201 && first["version"]?.integer == 1)
            let (again, same) = try await post("/templates", definition)
            #expect(again == 200 && same["version"]?.integer == 1)
            let (refused, error) = try await post(
                "/queues/start", #"{"template":"hours","parameters":{"symbols":["BTCUSDT"]}}"#)
            #expect(refused == 400 && error["error"]?["field"]?.string == "parameters.days")
            func get(_ path: String) async throws -> JSONValue {
                let answer = try await rig.http.execute(HTTPRequest(.get, "\(rig.api.base)\(path)"))
                return try MessageCodec.decode(JSONValue.self, from: answer.body)
            }
            let list = try await get("/templates")
            #expect(
                list["templates"]?.items.compactMap { $0["name"]?.string }
                    == [
                        "candles_to_graph", "candles_to_model", "dummy", "historical_candles",
                        "historical_trades", "hours",
                    ])
            let shown = try await get("/templates/hours/versions/1")
            #expect(shown["workflow"]?["type"]?.string == "api_candles_1h")
            #expect(shown["parameters"]?["days"]?["type"]?.string == "time_range")
            #expect(try await get("/templates/hours/versions/2")["error"]?["code"]?.string == "not_found")

            let output = try await Self.streamforge(
                [
                    "start", "--address", rig.api.base, "--template", "hours@1", "--param",
                    "symbols=BTCUSDT,1INCHUSDT",
                    "--param", "days=2024-08-01:2024-08-01", "--wait", "--json",
                ])
            let queue = try MessageCodec.decode(JSONValue.self, from: output)
            #expect(queue["status"]?.string == "finished")
            #expect(queue.instance("store", "1INCHUSDT")?["records_written"]?.integer == 24)
            #expect(queue["queue_id"]?.string?.hasPrefix("wf-hours-api_candles_1h-") == true)
        }
    }

    /// Runs the command and gives what it wrote to standard output.
    private static func streamforge(_ arguments: [String]) async throws -> [UInt8] {
        let folder = StackOptions(environment: [:]).programsDirectory
        // Reading blocks: not on a thread that the stack may need.
        let (status, output) = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try Self.run("\(folder)/streamforge", arguments) })
            }
        }
        #expect(status == 0)
        return output
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> (Int32, [UInt8]) {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, Array(output))
    }
}
