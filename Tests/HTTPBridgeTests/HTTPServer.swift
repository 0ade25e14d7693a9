import Hummingbird
import Logging

/// What the test server answers. Kept apart from the tests: Hummingbird has types named like ours.
enum TestRoutes {
    /// `PUT /echo` gives the body back, with what it saw of the head in the head.
    case echo
    /// `GET /from` redirects to `/to`.
    case redirect
    /// `GET /slow` takes 20 ms and counts those inside.
    case slow(Gauge)

    fileprivate var router: Router<BasicRequestContext> {
        let router = Router()
        switch self {
        case .echo:
            router.put("echo") { request, _ in
                let body = try await request.body.collect(upTo: 1 << 20)
                return Response(
                    status: .created,
                    headers: [
                        .accept: request.headers[.contentType] ?? "none",
                        .age: request.headers[.contentLength] ?? "none",
                        .allow: request.headers[.transferEncoding] ?? "none",
                    ], body: .init(byteBuffer: body))
            }
        case .redirect:
            router.get("from") { _, _ in Response(status: .found, headers: [.location: "/to"]) }
            router.get("to") { _, _ in "arrived" }
        case .slow(let gauge):
            router.get("slow") { _, _ in
                await gauge.enter()
                try await Task.sleep(for: .milliseconds(20))
                await gauge.leave()
                return "ok"
            }
        }
        return router
    }
}

actor Gauge {
    private var current = 0
    private(set) var highest = 0

    func enter() {
        current += 1
        highest = max(highest, current)
    }

    func leave() { current -= 1 }
}

/// Runs a real HTTP server on a free loopback port while `body` runs.
func withServer<Value: Sendable>(
    _ routes: TestRoutes, _ body: @escaping @Sendable (_ url: String) async throws -> Value
) async throws -> Value {
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    var logger = Logger(label: "test-server")
    logger.logLevel = .critical
    let application = Application(
        router: routes.router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        onServerRunning: { channel in
            continuation.yield(channel.localAddress?.port ?? 0)
            continuation.finish()
        }, logger: logger)
    return try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask {
            try await application.run()
            return nil
        }
        group.addTask {
            guard let port = await awaitValue(ports) else { throw CancellationError() }
            return try await body("http://127.0.0.1:\(port)")
        }
        defer { group.cancelAll() }
        while let value = try await group.next() {
            if let value { return value }
        }
        throw CancellationError()
    }
}
