import Foundation
import Glibc
import MarketData
import ServiceRuntime
import Testing
import Workflow

/// Whole queues through the real programs: exchange, loader, broker, connector, store, queue-manager.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct EndToEndTests {
    private static let symbols = ["BTCUSDT", "1INCHUSDT"]
    /// 2024-08-01 00:00 UTC.
    private static let firstOpenTime: Int64 = 1_722_470_400_000

    @Test func `loads two symbols, and a second run adds nothing`() async throws {
        try await Rig.with { rig in
            let first = try await rig.api.waitUntilFinal(
                try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-02"))
            #expect(first["status"]?.string == "finished")
            let second = try await rig.api.waitUntilFinal(
                try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-02"))
            #expect(second["status"]?.string == "finished")
            for symbol in Self.symbols {
                let served = try await rig.servedDigest(symbol, from: Self.firstOpenTime, days: 2)
                #expect(served.count == 576)
                #expect(try await rig.storedDigest(symbol, firstDay: "2024-08-01") == served)
                #expect(first.instance("load", symbol)?["records_written"]?.integer == 576)
                #expect(first.instance("store", symbol)?["records_written"]?.integer == 576)
                #expect(first.instance("store", symbol)?["duplicates"]?.integer == 0)
                #expect(second.instance("store", symbol)?["records_written"]?.integer == 0)
                #expect(second.instance("store", symbol)?["duplicates"]?.integer == 576)
            }
        }
    }

    @Test(arguments: ["load", "store"])
    func `finishes although a worker is killed while records flow`(step: String) async throws {
        try await Rig.with { rig in
            // A page of 1,000 takes 5 s, so there is time between the first and the last of three pages.
            try await rig.setPace(200)
            let id = try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-07")
            _ = try await rig.api.wait(for: id) { queue in
                let read = queue.instance("store", "BTCUSDT")?["records_read"]?.integer ?? 0
                return (1..<2016).contains(read) && rig.worker(id, step: step, symbol: "BTCUSDT") != nil
            }
            try #require(rig.worker(id, step: step, symbol: "BTCUSDT")).signalGroup(SIGKILL)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished")
            #expect(queue.instance(step, "BTCUSDT")?["attempt"]?.integer == 2)
            try await Self.expectAgreement(rig)
        }
    }

    @Test func `pauses while records flow, and goes on to the same result`() async throws {
        try await Rig.with { rig in
            try await rig.setPace(200)
            let id = try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-07")
            _ = try await rig.api.wait(for: id) { queue in
                (1..<2016).contains(queue.instance("store", "BTCUSDT")?["records_read"]?.integer ?? 0)
            }
            try await rig.api.ask("pause", of: id)
            let paused = try await rig.api.wait(for: id) { queue in
                queue.instances.allSatisfy { ["waiting", "finished"].contains($0["status"]?.string) }
            }
            #expect(paused["status"]?.string == "paused")
            #expect(paused.instance("load", "BTCUSDT")?["failures"]?.integer == 0)
            try await rig.setPace(100_000)
            try await rig.api.ask("resume", of: id)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished")
            #expect(queue.instances.allSatisfy { $0["failures"]?.integer == 0 })
            try await Self.expectAgreement(rig)
        }
    }

    @Test func `a dummy that crashes fails its queue, one that is deaf is terminated`() async throws {
        try await Rig.with { rig in
            let plan = try await rig.api.validate(Self.dummy(["seconds": .integer(5)]))
            #expect(plan["steps"]?.items.first?["target"]?.string == "dummy-service")
            #expect(plan["instances"]?.integer == 1)
            #expect(try await rig.api.queueCount() == 0)
            let crashing = try await rig.api.start(
                Self.dummy(["exit_after": .integer(0), "attempts_max": .integer(2)]))
            let failed = try await rig.api.waitUntilFinal(crashing)
            #expect(failed["status"]?.string == "failed")
            let reason = "try[BTCUSDT] did not finish: its process ended (exit 99) without a final event "
            #expect(failed["reason"]?.string == reason + "(2 of 2 attempts failed)")

            let deaf = try await rig.api.start(
                Self.dummy(["seconds": .integer(3_600), "ignore_stop": .bool(true)]))
            _ = try await rig.api.wait(for: deaf) { $0.instances.first?["status"]?.string == "running" }
            try await rig.api.ask("stop", of: deaf)
            try await rig.api.ask("terminate", of: deaf)
            let ended = try await rig.api.waitUntilFinal(deaf)
            #expect(ended["status"]?.string == "stopped")
            #expect(rig.worker(deaf, step: "try", symbol: "BTCUSDT") == nil)
        }
    }

    private static func dummy(_ parameters: [String: JSONValue]) -> JSONValue {
        .object([
            "symbol": .string("BTCUSDT"), "time_range": .string("2024-08-01:2024-08-01"),
            "steps": .array([
                .object([
                    "id": .string("try"), "target": .string("dummy-service"), "params": .object(parameters),
                ])
            ]),
        ])
    }

    @Test func `finishes although the queue-manager is killed while records flow`() async throws {
        try await Rig.with { rig in
            try await rig.setPace(200)
            let id = try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-07")
            _ = try await rig.api.wait(for: id) { queue in
                (1..<2016).contains(queue.instance("store", "BTCUSDT")?["records_read"]?.integer ?? 0)
            }
            await rig.manager.kill()
            #expect(try await rig.api.queue(id) == nil)
            try await rig.manager.start(rig.http)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished")
            try await Self.expectAgreement(rig)
        }
    }

    private static func expectAgreement(_ rig: Rig) async throws {
        try await rig.setPace(100_000)
        for symbol in symbols {
            let served = try await rig.servedDigest(symbol, from: firstOpenTime, days: 7)
            #expect(served.count == 2016)
            #expect(try await rig.storedDigest(symbol, firstDay: "2024-08-01") == served)
        }
    }
}
