import Foundation
import Hummingbird
import Logging

/// Serves a stand-in on a free loopback port while `body` runs.
func withStandIn<Value: Sendable>(
    _ server: StandInArangoDB = StandInArangoDB(),
    _ body: @escaping @Sendable (_ url: String, StandInArangoDB) async throws -> Value
) async throws -> Value {
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    var logger = Logger(label: "stand-in")
    logger.logLevel = .critical
    let responder = CallbackResponder<BasicRequestContext> { request, _ in
        try await answer(request, server)
    }
    let application = Application(
        responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
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
            for await port in ports { return try await body("http://127.0.0.1:\(port)", server) }
            throw CancellationError()
        }
        defer { group.cancelAll() }
        while let value = try await group.next() {
            if let value { return value }
        }
        throw CancellationError()
    }
}

private struct BrokenOnPurpose: Error {}

private func answer(_ request: Request, _ server: StandInArangoDB) async throws -> Response {
    // The real server refuses chunked bodies; holding to it keeps the client honest.
    guard request.headers[.transferEncoding] == nil else { return Response(status: .lengthRequired) }
    let bytes = try await request.body.collect(upTo: 64 << 20)
    var path = request.uri.path.split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
    var database = "_system"
    if path.first == "_db", path.count > 1 {
        database = path[1]
        path.removeFirst(2)
    }
    var headers: [String: String] = [:]
    for field in request.headers { headers[field.name.canonicalName] = field.value }
    var query: [String: String] = [:]
    for (name, value) in request.uri.queryParameters { query[String(name)] = String(value) }
    let reply = await server.reply(
        to: StandInRequest(
            method: request.method.rawValue, database: database, path: path, query: query, headers: headers,
            body: Array(bytes.readableBytesView)))
    guard let reply else {
        // A body that ends before its length: the server closes the connection.
        return Response(
            status: .ok, body: ResponseBody(contentLength: 1_000) { _ in throw BrokenOnPurpose() })
    }
    var response = Response(status: .init(code: reply.status))
    for (name, value) in reply.headers {
        if let name = HTTPFields.Element.Name(name) { response.headers[name] = value }
    }
    if let body = reply.body {
        response.headers[.contentType] = "application/json"
        response.body = ResponseBody(byteBuffer: ByteBuffer(bytes: body.text))
    }
    return response
}
