import Foundation
import Hummingbird

/// Named by what Hummingbird exports, so that its parts stay its own business.
private typealias HeaderName = HTTPFields.Element.Name

/// What a request carries through the server: the client's address, which limits are kept by.
struct ExchangeContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// IP address as text; nil when the connection is already gone.
    let address: String?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        address = source.channel.remoteAddress?.ipAddress
    }

    var isLoopback: Bool {
        guard let address else { return false }
        return address.hasPrefix("127.") || address == "::1"
    }
}

/// HTTP in front of ``ExchangeCore``.
struct ExchangeServer: Sendable {
    /// A fault setting is a few hundred bytes.
    static let controlBytesMax = 64 * 1_024

    let core: ExchangeCore

    func respond(to request: Request, context: ExchangeContext) async throws -> Response {
        switch (request.method, request.uri.path) {
        case (.get, "/"):
            return Self.text(IndexPage(core: core).text)
        case (_, let path) where path.hasPrefix("/_replay/"):
            guard context.isLoopback else { return Response(status: .forbidden) }
            return try await control(request)
        case (.get, let path) where path.hasPrefix(ArchiveShelf.pathPrefix):
            return try await archive(path, client: request.headers[.userAgent] ?? "", context: context)
        case (.get, let path):
            guard let endpoint = Endpoint(rawValue: path) else { return Self.notFound }
            return try await exchange(request, endpoint: endpoint, context: context)
        default:
            return Self.notFound
        }
    }

    private func exchange(
        _ request: Request, endpoint: Endpoint, context: ExchangeContext
    ) async throws -> Response {
        let reply = core.reply(
            to: ExchangeRequest(
                path: endpoint.rawValue,
                parameters: request.uri.queryParameters.map { (String($0.key), String($0.value)) },
                address: context.address ?? "unknown",
                userAgent: request.headers[.userAgent] ?? "",
                timeUnit: request.headers[Self.timeUnit]),
            endpoint: endpoint)
        return try await response(reply)
    }

    /// The exchange's files lie on another server: they cost no weight.
    private func archive(_ path: String, client: String, context: ExchangeContext) async throws -> Response {
        try await response(core.archiveReply(path, client: "\(context.address ?? "unknown") \(client)"))
    }

    private func response(_ reply: ExchangeCore.Reply) async throws -> Response {
        if reply.delay > .zero { try await Task.sleep(for: reply.delay) }
        var headers: HTTPFields = [.contentType: reply.contentType]
        if let seconds = reply.retryAfterSeconds { headers[Self.retryAfter] = String(seconds) }
        if let weight = reply.usedWeight {
            headers[Self.usedWeight] = String(weight)
            if let unit = core.limits?.windowUnit,
                let name = HeaderName("X-MBX-USED-WEIGHT-\(unit.count)\(unit.letter)")
            {
                headers[name] = String(weight)
            }
        }
        let body = ByteBuffer(bytes: reply.body)
        return Response(
            status: .init(code: reply.status), headers: headers,
            body: reply.isCut ? Self.cut(body) : ResponseBody(byteBuffer: body))
    }

    private struct CutOnPurpose: Error {}

    /// Promises the whole body, sends half and closes the connection.
    private static func cut(_ body: ByteBuffer) -> ResponseBody {
        ResponseBody(contentLength: body.readableBytes) { writer in
            var half = body
            try await writer.write(half.readSlice(length: body.readableBytes / 2) ?? ByteBuffer())
            // An error while writing makes the server close the connection, as a dropped one would be.
            throw CutOnPurpose()
        }
    }

    private func control(_ request: Request) async throws -> Response {
        switch (request.method, request.uri.path) {
        case (.get, "/_replay/stats"):
            return try Self.json(core.statistics.snapshot)
        case (.get, "/_replay/faults"):
            return try Self.json(core.faults.settings)
        case (.post, "/_replay/faults"):
            let body = try await request.body.collect(upTo: Self.controlBytesMax)
            do {
                core.faults.update(try core.faults.settings.merging(json: Array(body.readableBytesView)))
                return try Self.json(core.faults.settings)
            } catch let error as ReplayError {
                return try Self.json(["error": error.detail], status: .badRequest)
            }
        default:
            return Self.notFound
        }
    }

    private static func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok
    ) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
    }

    private static func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
    }

    private static var notFound: Response {
        Response(
            status: .notFound, headers: [.contentType: "text/html"],
            body: ResponseBody(
                byteBuffer: ByteBuffer(string: "<html><body><h2>404 Not found</h2></body></html>")))
    }

    private static let timeUnit = name("X-MBX-TIME-UNIT")
    private static let usedWeight = name("X-MBX-USED-WEIGHT")
    private static let retryAfter = name("Retry-After")

    private static func name(_ text: String) -> HeaderName {
        guard let name = HeaderName(text) else { preconditionFailure("\(text) is a header name") }
        return name
    }
}
