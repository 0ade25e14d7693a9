import Foundation
import Glibc
import HTTPBridge
import LocalStack
import Logging
import MarketData
import PostgresBridge
import ServiceLifecycle
import ServiceRuntime
import Testing
import Workflow

/// A real stack of real programs; the queue-manager is a child of the test, so that it can be killed.
struct Rig: Sendable {
    let api: QueueManagerAPI
    let exchange: String
    let store: PostgresPool
    let http: HTTPClient
    let manager: QueueManagerProcess
    /// The queue-manager's.
    let environment: [String: String]
    /// Where the programs are, and where data and logs go.
    let programs: String
    let folder: String

    /// - Parameters:
    ///   - candles: symbols with recorded candles, besides two.
    ///   - trades: symbols with recorded trades.
    ///   - variables: for all programs of the stack.
    ///   - settings: of the queue-manager, beside those that follow from the stack.
    static func with(
        candles: [String] = [], trades: [String] = [], _ variables: [String: String] = [:],
        settings: [String: String] = [:],
        _ body: @escaping @Sendable (Rig) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "e2e-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var environment = ProcessInfo.processInfo.environment
        for name in ["POSTGRES_URL", "BINANCE_API_URL", "ARANGO_URL"] { environment[name] = nil }
        environment["EXCHANGE_DATA_DIR"] = try linkRecordings(
            candles: Set(["BTCUSDT", "1INCHUSDT"] + candles + trades), trades: trades, into: folder)
        environment.merge(variables) { _, new in new }
        var options = StackOptions(environment: environment)
        options.dataDirectory = folder
        options.runsQueueManager = false
        options.isDurable = false
        let (ready, continuation) = AsyncStream<StackAddresses>.makeStream()
        let stack = LocalStack(options, onReady: { continuation.yield($0) })
        let logger = Logger(label: "stack") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(services: [stack], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { [options] tasks in
            tasks.addTask {
                defer { continuation.finish() }
                try await group.run()
            }
            for await addresses in ready {
                let result: Result<Void, any Error>
                do {
                    result = .success(try await run(addresses, options, folder, settings, body))
                } catch {
                    result = .failure(error)
                }
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
                return try result.get()
            }
            try await tasks.waitForAll()
        }
    }

    private static func run(
        _ addresses: StackAddresses, _ options: StackOptions, _ folder: String,
        _ settings: [String: String], _ body: (Rig) async throws -> Void
    ) async throws {
        var environment = options.environment
        for line in try String(contentsOfFile: "\(folder)/addresses.env", encoding: .utf8).split(
            separator: "\n")
        {
            let parts = line.split(separator: "=", maxSplits: 1)
            environment[String(parts[0])] = String(parts[1])
        }
        environment["QUEUES_COLLECTION"] = "queues"
        environment.merge(settings) { _, own in own }
        let http = HTTPClient()
        let manager = QueueManagerProcess(
            programs: options.programsDirectory, folder: folder, environment: environment,
            port: try #require(LoopbackPort.free()))
        try await manager.start(http)
        let store = PostgresPool(url: try PostgresURL(environment["POSTGRES_URL"] ?? ""), connectionsMax: 2)
        let rig = Rig(
            api: QueueManagerAPI(base: manager.base, http: http), exchange: addresses.exchange, store: store,
            http: http, manager: manager, environment: environment, programs: options.programsDirectory,
            folder: folder)
        do {
            try await body(rig)
        } catch {
            await manager.stop()
            throw error
        }
        await store.close()
        await manager.stop()
        await http.close()
    }

    /// Makes the exchange give so many records a second and symbol.
    func setPace(_ recordsPerSecond: Int) async throws {
        let body = Array("{\"pace_records_per_second\":\(recordsPerSecond)}".utf8)
        let answer = try await http.execute(HTTPRequest(.post, "\(exchange)/_replay/faults", body: body))
        #expect(answer.status == 200)
    }

    /// The digest of a symbol's collection, read past the product's own store.
    func storedDigest(_ symbol: String, firstDay: String) async throws -> RangeDigest {
        let day = firstDay.replacing("-", with: "_")
        let name = "\(symbol.lowercased())_api_candles_5m_\(day)"
        let collection = name.first?.isNumber == true ? "s_\(name)" : name
        let rows = try await store.execute(
            "SELECT _key, document::text AS json FROM documents.\(identifier: collection) ORDER BY _key")
        var digester = RangeDigester(shape: .candle)
        for row in rows {
            let json = try row["json", as: String.self]
            let document = try MessageCodec.decode(JSONValue.self, fromText: json)
            let values = RecordShape.candle.fields.map { field -> String? in
                document[field.name].flatMap { $0.string ?? $0.integer.map { String($0) } }
            }
            try digester.add(key: try row["_key", as: String.self], values: values)
        }
        return digester.finish()
    }

    /// The digest of what the exchange serves, asked directly, 1,000 candles a page.
    func servedDigest(_ symbol: String, from first: Int64, days: Int64) async throws -> RangeDigest {
        var digester = RangeDigester(shape: .candle)
        var start = first
        let end = first + days * CivilDate.millisecondsPerDay
        while start < end {
            let answer = try await http.execute(
                HTTPRequest(
                    .get,
                    "\(exchange)/api/v3/klines?symbol=\(symbol)&interval=5m&startTime=\(start)"
                        + "&endTime=\(end - 1)&limit=1000"))
            let rows = try MessageCodec.decode(JSONValue.self, from: answer.body).items
            for row in rows {
                let texts = row.items.map { $0.string ?? String($0.integer ?? -1) }
                let key = "\(symbol)-5m-\(texts[0])"
                try digester.add(key: key, values: [key, symbol, "5m"] + texts[0...10])
            }
            guard let last = rows.last?.items.first?.integer else { break }
            start = last + 1
        }
        return digester.finish()
    }

    /// The live process of an instance's attempt.
    func worker(_ queue: String, step: String, symbol: String) -> ProcessIdentity? {
        let marks = ["QUEUE_ID": queue, "STEP": step, "INSTANCE": symbol]
        return ProcessTable.processes(withEnvironment: marks).first
    }

    /// The recordings of a few symbols: a debug build takes seconds to read the whole sample.
    private static func linkRecordings(
        candles: Set<String>, trades: [String], into folder: String
    ) throws -> String {
        let here = URL(filePath: #filePath).deletingLastPathComponent()
        let sample = here.appending(path: "../../data/sample").standardizedFileURL
        let recordings = "\(folder)/recordings"
        for kind in ["candles", "trades"] {
            try FileManager.default.createDirectory(
                atPath: "\(recordings)/\(kind)", withIntermediateDirectories: true)
        }
        for name in candles.map({ "candles/\($0)-5m.csv.gz" }) + trades.map({ "trades/\($0).csv.gz" }) {
            try FileManager.default.createSymbolicLink(
                atPath: "\(recordings)/\(name)", withDestinationPath: sample.appending(path: name).path)
        }
        return recordings
    }
}
