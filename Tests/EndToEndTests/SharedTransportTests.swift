import Foundation
import Glibc
import KafkaBridge
import LocalStack
import MarketData
import ServiceRuntime
import Testing
import Workflow

/// Queues with `transport: shared` through the real programs, with connectors that stay.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SharedTransportTests {
    private static let symbols = ["BTCUSDT", "1INCHUSDT", "ETHUSDT", "SOLUSDT"]
    /// 2024-08-01 00:00 UTC.
    private static let firstOpenTime: Int64 = 1_722_470_400_000

    private static func request(_ symbols: [String], days: String) -> JSONValue {
        .object([
            "symbols": .array(symbols.map { .string($0) }), "type": .string("api_candles_5m"),
            "time_range": .string(days), "transport": .string("shared"),
        ])
    }

    @Test func `stores what it loads, leaves no lag, and a second run adds nothing`() async throws {
        try await Rig.with(candles: Self.symbols) { rig in
            let connector = try await ConnectorProcess.start(rig, "one")
            let first = try await rig.api.waitUntilFinal(
                try await rig.api.start(Self.request(Self.symbols, days: "2024-08-01:2024-08-02")))
            #expect(first["status"]?.string == "finished")
            let second = try await rig.api.waitUntilFinal(
                try await rig.api.start(Self.request(Self.symbols, days: "2024-08-01:2024-08-02")))
            #expect(second["status"]?.string == "finished")
            for symbol in Self.symbols {
                #expect(first.instance("load", symbol)?["records_written"]?.integer == 576)
                #expect(first.instance("store", symbol)?["records_written"]?.integer == 576)
                #expect(first.instance("store", symbol)?["duplicates"]?.integer == 0)
                #expect(first.instance("store", symbol)?["attempt"]?.integer == 1)
                #expect(second.instance("store", symbol)?["records_written"]?.integer == 0)
                #expect(second.instance("store", symbol)?["duplicates"]?.integer == 576)
            }
            try await Self.expectAgreement(rig, Self.symbols, days: 2)
            try await rig.expectNoLag("market-candles")
            #expect(await connector.terminate(grace: .seconds(20)) == .code(0))
        }
    }

    @Test func `finishes although a connector is killed while records flow and another joins later`()
        async throws
    {
        try await Rig.with(candles: Self.symbols) { rig in
            _ = try await ConnectorProcess.start(rig, "one")
            let victim = try await ConnectorProcess.start(rig, "two")
            try await rig.setPace(100)
            let id = try await rig.api.start(Self.request(Self.symbols, days: "2024-08-01:2024-08-07"))
            try await Self.waitUntilHalfLoaded(rig, id, Self.symbols)
            victim.signal(SIGKILL)
            // By the same name: noida-db would wait for ever for a member that does not come back.
            _ = try await ConnectorProcess.start(rig, "two")
            _ = try await ConnectorProcess.start(rig, "three")
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
            Self.expectNothingDoubled(queue, Self.symbols, count: 2016)
            try await Self.expectAgreement(rig, Self.symbols, days: 7)
            try await rig.expectNoLag("market-candles")
        }
    }

    @Test func `connectors with names that join an empty group at the same moment all get to work`()
        async throws
    {
        try await Rig.with { rig in
            async let first = ConnectorProcess.start(rig, "one")
            async let second = ConnectorProcess.start(rig, "two")
            async let third = ConnectorProcess.start(rig, "three")
            _ = try await (first, second, third)
            // Makes the topics: only then do they join.
            let queue = try await rig.api.waitUntilFinal(
                try await rig.api.start(Self.request(["BTCUSDT"], days: "2024-08-01:2024-08-02")))
            #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
            try await rig.expectNoLag("market-candles")
        }
    }

    @Test func `a connector that is asked to leave stores what it has, and the others go on`() async throws {
        try await Rig.with(candles: Self.symbols) { rig in
            _ = try await ConnectorProcess.start(rig, nil)
            let leaver = try await ConnectorProcess.start(rig, nil)
            try await rig.setPace(100)
            let id = try await rig.api.start(Self.request(Self.symbols, days: "2024-08-01:2024-08-07"))
            try await Self.waitUntilHalfLoaded(rig, id, Self.symbols)
            #expect(await leaver.terminate(grace: .seconds(20)) == .code(0))
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
            Self.expectNothingDoubled(queue, Self.symbols, count: 2016)
            try await Self.expectAgreement(rig, Self.symbols, days: 7)
            try await rig.expectNoLag("market-candles")
        }
    }

    @Test func `finishes although a loader is killed while records flow`() async throws {
        try await Rig.with { rig in
            _ = try await ConnectorProcess.start(rig, "one")
            try await rig.setPace(200)
            let symbols = ["BTCUSDT", "1INCHUSDT"]
            let id = try await rig.api.start(Self.request(symbols, days: "2024-08-01:2024-08-07"))
            try await Self.waitUntilHalf(rig, id, ["BTCUSDT"])
            try #require(rig.worker(id, step: "load", symbol: "BTCUSDT")).signalGroup(SIGKILL)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
            #expect(queue.instance("load", "BTCUSDT")?["attempt"]?.integer == 2)
            #expect(queue.instance("store", "BTCUSDT")?["attempt"]?.integer == 1)
            Self.expectNothingDoubled(queue, symbols, count: 2016)
            try await Self.expectAgreement(rig, symbols, days: 7)
        }
    }

    @Test func `a store that throws everybody out for some seconds costs nothing but time`() async throws {
        try await Rig.with { rig in
            _ = try await ConnectorProcess.start(rig, "one")
            try await rig.setPace(200)
            let symbols = ["BTCUSDT", "1INCHUSDT"]
            let id = try await rig.api.start(Self.request(symbols, days: "2024-08-01:2024-08-07"))
            try await Self.waitUntilHalf(rig, id, ["BTCUSDT"])
            let end = ContinuousClock.now + .seconds(4)
            while ContinuousClock.now < end {
                try await rig.store.execute(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'streamforge-documents'
                    """)
                try await Task.sleep(for: .milliseconds(20))
            }
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
            #expect(queue.instances.allSatisfy { $0["attempt"]?.integer == 1 })
            Self.expectNothingDoubled(queue, symbols, count: 2016)
            try await Self.expectAgreement(rig, symbols, days: 7)
            try await rig.expectNoLag("market-candles")
        }
    }

    @Test func `a queue that is stopped ends at once, and its records hold up nobody`() async throws {
        try await Rig.with { rig in
            _ = try await ConnectorProcess.start(rig, "one")
            try await rig.setPace(200)
            let stopped = try await rig.api.start(Self.request(["BTCUSDT"], days: "2024-08-01:2024-08-07"))
            try await Self.waitUntilHalf(rig, stopped, ["BTCUSDT"])
            try await rig.api.ask("stop", of: stopped)
            let end = try await rig.api.waitUntilFinal(stopped)
            #expect(end["status"]?.string == "stopped")
            #expect(end.instance("store", "BTCUSDT")?["status"]?.string == "interrupted")
            try await rig.setPace(100_000)
            let queue = try await rig.api.waitUntilFinal(
                try await rig.api.start(Self.request(["BTCUSDT"], days: "2024-08-01:2024-08-07")))
            #expect(queue["status"]?.string == "finished", "\(queue["reason"]?.string ?? "")")
            try await Self.expectAgreement(rig, ["BTCUSDT"], days: 7)
            try await rig.expectNoLag("market-candles")
        }
    }

    /// Some records of one of them are in the topic, and not all.
    private static func waitUntilHalfLoaded(_ rig: Rig, _ id: String, _ symbols: [String]) async throws {
        _ = try await rig.api.wait(for: id) { queue in
            symbols.contains {
                (1..<2016).contains(queue.instance("load", $0)?["records_written"]?.integer ?? 0)
            }
        }
    }

    /// Some records of one of them are stored, and not all.
    private static func waitUntilHalf(_ rig: Rig, _ id: String, _ symbols: [String]) async throws {
        _ = try await rig.api.wait(for: id) { queue in
            symbols.contains {
                (1..<2016).contains(queue.instance("store", $0)?["records_read"]?.integer ?? 0)
            }
        }
    }

    /// Each record was stored once, whoever stored it.
    private static func expectNothingDoubled(_ queue: JSONValue, _ symbols: [String], count: Int64) {
        for symbol in symbols {
            let store = queue.instance("store", symbol)
            #expect(store?["records_read"]?.integer == count, "\(symbol)")
            #expect(store?["records_written"]?.integer == count, "\(symbol)")
            #expect(store?["duplicates"]?.integer == 0, "\(symbol)")
        }
    }

    private static func expectAgreement(_ rig: Rig, _ symbols: [String], days: Int64) async throws {
        try await rig.setPace(100_000)
        for symbol in symbols {
            let served = try await rig.servedDigest(symbol, from: firstOpenTime, days: days)
            #expect(served.count == 288 * days)
            #expect(try await rig.storedDigest(symbol, firstDay: "2024-08-01") == served)
        }
    }
}

/// A connector of shared topics as a child of the test.
enum ConnectorProcess {
    /// Starts it and waits until it is ready.
    ///
    /// - Parameter name: stable, since noida-db never forgets a member that died without one; nil: none, since a
    ///   member with a name does not leave the group.
    static func start(
        _ rig: Rig, _ name: String?, _ settings: [String: String] = [:]
    ) async throws -> ChildProcess {
        let port = try #require(LoopbackPort.free())
        var environment = rig.environment
        environment["PORT"] = String(port)
        environment["HTTP_HOST"] = "127.0.0.1"
        environment["CONNECTOR_MEMBER_ID"] = name
        environment["CONNECTOR_ASSIGNMENT"] = "range"
        environment.merge(settings) { _, own in own }
        let child = try await ChildProcess.start(
            .init(
                "\(rig.programs)/streamforge-worker", ["connector"], environment: environment,
                logFile: "\(rig.folder)/logs/connector-\(name ?? "\(port)").log", diesWithParent: true))
        try await rig.waitUntilReady("http://127.0.0.1:\(port)", child)
        return child
    }
}
