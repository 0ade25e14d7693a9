import Hummingbird
import Logging
import Synchronization

/// An HTTP server that answers as a test says, for what no real one does when asked to.
struct ScriptedServer: Sendable {
    struct Question: Sendable {
        var method: String
        /// Path and query, as sent.
        var target: String
        var headers: [String: String]
        var body: [UInt8]
    }

    struct Answer: Sendable {
        var status = 200
        var headers: [String: String] = [:]
        var body: [UInt8] = []
        /// The connection ends after so many bytes of the body.
        var cutAfter: Int?

        static func text(_ text: String, status: Int = 200) -> Answer {
            Answer(status: status, body: Array(text.utf8))
        }
        static func error(_ status: Int, _ word: String) -> Answer {
            text("<Error><Code>\(word)</Code><Message>No.</Message></Error>", status: status)
        }
    }

    private struct CutOnPurpose: Error {}

    static func run(
        _ answer: @escaping @Sendable (Question) -> Answer,
        _ body: @escaping @Sendable (_ url: String) async throws -> Void
    ) async throws {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        var logger = Logger(label: "scripted-server")
        logger.logLevel = .critical
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            let bytes = try await request.body.collect(upTo: 64 << 20)
            var headers: [String: String] = [:]
            for field in request.headers { headers[field.name.canonicalName] = field.value }
            let reply = answer(
                Question(
                    method: request.method.rawValue, target: request.uri.string, headers: headers,
                    body: Array(bytes.readableBytesView)))
            return response(reply)
        }
        let application = Application(
            responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                continuation.yield(channel.localAddress?.port ?? 0)
                continuation.finish()
            }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports { try await body("http://127.0.0.1:\(port)") }
            group.cancelAll()
        }
    }

    private static func response(_ reply: Answer) -> Response {
        var response = Response(status: .init(code: reply.status))
        for (name, value) in reply.headers {
            if let name = HTTPFields.Element.Name(name) { response.headers[name] = value }
        }
        let bytes = ByteBuffer(bytes: reply.body)
        if let count = reply.cutAfter {
            response.body = ResponseBody(contentLength: bytes.readableBytes) { writer in
                try await writer.write(ByteBuffer(bytes: reply.body.prefix(count)))
                throw CutOnPurpose()
            }
        } else {
            response.body = ResponseBody(byteBuffer: bytes)
        }
        return response
    }
}
