import Hummingbird
import ServiceLifecycle
import Workflow

/// `GET /events`: the history of all queues, in pages or as Server-Sent Events without an end.
package struct HistoryFeed: Sendable {
    static let pollInterval = Duration.milliseconds(500)
    /// A comment line keeps idle connections open through proxies.
    static let keepAliveInterval = Duration.seconds(15)
    static let pageSize = 500
    package static let followersMax = 100

    private let store: HistoryStore
    private let followers = Followers(countMax: Self.followersMax)

    package init(store: HistoryStore) {
        self.store = store
    }

    /// Events were written here: every follower looks. Those of other replicas are found by polling.
    package func signal() { followers.signal() }

    package func add(to router: Router<BasicRequestContext>) {
        router.get("events") { request, _ in try await answer(request) }
    }

    private func answer(_ request: Request) async throws -> Response {
        let query = try Query(request, known: ["after", "limit"])
        // A browser that reconnects says where it was in Last-Event-ID.
        let cursor = try await cursor(query.text("after") ?? request.header("Last-Event-ID"))
        let limit = try query.integer("limit", in: 1...HistoryStore.pageMax) ?? 200
        if request.headers[.accept]?.contains("text/event-stream") == true { return follow(from: cursor) }
        let events = try await store.events(after: cursor, limit: limit)
        return try JSONAnswer.response(
            .ok,
            .object([
                "events": .array(events.map(Self.json)),
                // Always there: more may come at any time.
                "next_after": .string((events.last?.cursor ?? cursor).text),
                "is_at_end": .bool(events.count < limit),
            ]))
    }

    private func cursor(_ text: String?) async throws -> HistoryCursor {
        guard let text else { return .beginning }
        if text == "now" { return try await store.end() }
        guard let cursor = HistoryCursor(text) else {
            throw RequestError(
                .invalidValue, "after is no place in the feed", field: "after",
                value: String(text.prefix(80)),
                hint: "Take next_after of the page before, the id of an event, or now")
        }
        return cursor
    }

    private func follow(from cursor: HistoryCursor) -> Response {
        guard let (key, wakes) = followers.register() else {
            return JSONAnswer.error(
                RequestError(
                    .rateLimited, "\(Self.followersMax) follow all queues already", hint: "Try later"))
        }
        let body = ResponseBody { [self] writer in
            defer { followers.unregister(key) }
            try await write(from: cursor, wakes: wakes, &writer)
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: body)
    }

    private func write(
        from cursor: HistoryCursor, wakes: Wakeups, _ writer: inout any ResponseBodyWriter
    ) async throws {
        var cursor = cursor
        var quiet = ContinuousClock.now
        try await writer.write(ByteBuffer(string: ": following all queues\n\n"))
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            let events = try await store.events(after: cursor, limit: Self.pageSize)
            for event in events { try await writer.write(ByteBuffer(bytes: try Self.frame(event))) }
            if let last = events.last {
                cursor = last.cursor
                quiet = .now
            }
            if events.count == Self.pageSize { continue }
            if quiet.duration(to: .now) > Self.keepAliveInterval {
                try await writer.write(ByteBuffer(string: ": still here\n\n"))
                quiet = .now
            }
            await wakes.wait(atMost: Self.pollInterval)
        }
    }

    private static func frame(_ event: FeedEvent) throws -> [UInt8] {
        let head = "id: \(event.cursor.text)\nevent: \(event.event.kind)\ndata: "
        return Array(head.utf8) + (try MessageCodec.encode(json(event))) + Array("\n\n".utf8)
    }

    private static func json(_ event: FeedEvent) -> JSONValue {
        guard case .object(var fields) = QueueAnswer.event(event.event) else { return .null }
        fields["queue_id"] = .string(event.queueID.rawValue)
        fields["cursor"] = .string(event.cursor.text)
        return .object(fields)
    }
}
