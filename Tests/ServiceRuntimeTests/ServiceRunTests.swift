import Foundation
import HTTPBridge
import Logging
import Metrics
import ServiceEndpoints
import ServiceLifecycle
import ServiceRuntime
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ServiceRunTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func get(_ port: Int, _ path: String) async throws -> (Int, String) {
        let client = HTTPClient()
        let response = try await client.execute(HTTPRequest(.get, "http://127.0.0.1:\(port)\(path)"))
        await client.close()
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    /// Runs the endpoints on a free port while `body` runs.
    private func withEndpoints(
        _ health: HealthState, _ metrics: PrometheusRegistry, _ body: (Int) async throws -> Void
    ) async throws {
        let table = SettingsTable(program: "test", groups: [ServiceSettings.group])
        let values = try SettingsReader(environment: ["PORT": "0"]).read(table)
        let (ports, feed) = AsyncStream<Int>.makeStream()
        let endpoints = ServiceEndpoints(
            values, health: health, metrics: metrics, logger: Self.logger, onListening: { feed.yield($0) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await endpoints.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(port)
            group.cancelAll()
        }
    }

    @Test func `serves health with reasons and metrics`() async throws {
        let health = HealthState()
        let metrics = PrometheusRegistry()
        Counter(label: "jobs_total", factory: metrics).increment()
        try await withEndpoints(health, metrics) { port in
            let before = try await get(port, "/health/startup")
            #expect(before.0 == 503)
            #expect(before.1 == #"{"status":"unavailable","reasons":["still starting"]}"#)
            #expect(try await get(port, "/health/live").0 == 200)
            health.markStarted()
            let after = try await get(port, "/health/ready")
            #expect(after.0 == 200)
            #expect(after.1 == #"{"status":"ok","reasons":[]}"#)
            let page = try await get(port, "/metrics")
            #expect(page.0 == 200 && page.1.contains("\njobs_total 1\n"))
            #expect(try await get(port, "/other").0 == 404)
        }
    }

    @Test func `tells an address it cannot have`() async throws {
        try await withEndpoints(HealthState(), PrometheusRegistry()) { port in
            let table = SettingsTable(program: "test", groups: [ServiceSettings.group])
            let values = try SettingsReader(environment: ["PORT": "\(port)"]).read(table)
            let second = ServiceEndpoints(
                values, health: HealthState(), metrics: PrometheusRegistry(), logger: Self.logger)
            await #expect(throws: (any Error).self) { try await second.run() }
        }
    }

    private struct Ending: Service {
        let name: String
        let log: @Sendable (String) -> Void
        var endsAlone = false
        func run() async throws {
            if !endsAlone { try await gracefulShutdown() }
            log(name)
        }
    }

    @Test func `ends all services, last first, when one returns`() async throws {
        let order = Order()
        try await runServices(
            [
                Ending(name: "first", log: order.add), Ending(name: "second", log: order.add),
                Ending(name: "third", log: order.add, endsAlone: true),
            ], grace: .seconds(10), logger: Self.logger)
        #expect(order.names == ["third", "second", "first"])
    }

    private final class Order: Sendable {
        private let list = Mutex<[String]>([])
        var names: [String] { list.withLock { $0 } }
        func add(_ name: String) { list.withLock { $0.append(name) } }
    }
}
