import Hummingbird
import ServiceLifecycle
import Synchronization
import Workflow

/// Server-Sent Events: a queue's history as it grows, until the queue is final.
///
/// Each follower reads the table itself from where it is (so none can miss an event), woken when something
/// was applied here and at the latest after ``pollInterval`` (another replica may have applied it).
package final class EventFeed: Sendable {
    static let pollInterval = Duration.milliseconds(500)
    /// A comment line keeps idle connections open through proxies.
    static let keepAliveInterval = Duration.seconds(15)
    static let pageSize = 200
    package static let followersMax = 500

    private let store: EngineStore
    private let followers = Mutex<[UInt64: Wakeups]>([:])

    package init(store: EngineStore) {
        self.store = store
    }

    /// Events were applied: every follower looks.
    package func signal() {
        for follower in followers.withLock({ Array($0.values) }) { follower.signal() }
    }

    func response(of id: QueueID, after: Int64) -> Response {
        guard let (key, wakes) = register() else {
            return JSONAnswer.error(
                RequestError(
                    .rateLimited, "\(Self.followersMax) followers are connected already", hint: "Try later"))
        }
        let body = ResponseBody { [self] writer in
            defer { unregister(key) }
            try await follow(id, after: after, wakes: wakes, &writer)
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: body)
    }

    private func follow(
        _ id: QueueID, after: Int64, wakes: Wakeups, _ writer: inout any ResponseBodyWriter
    ) async throws {
        var last = after
        var quiet = ContinuousClock.now
        try await writer.write(ByteBuffer(string: ": following \(id)\n\n"))
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            while let page = try await store.events(of: id, after: last, limit: Self.pageSize) {
                for event in page.events {
                    try await writer.write(ByteBuffer(bytes: try Self.frame(event)))
                    last = event.number
                    quiet = .now
                }
                if page.events.count == Self.pageSize { continue }
                if page.isFinal { return }
                break
            }
            if quiet.duration(to: .now) > Self.keepAliveInterval {
                try await writer.write(ByteBuffer(string: ": still here\n\n"))
                quiet = .now
            }
            await wakes.wait(atMost: Self.pollInterval)
        }
    }

    private static func frame(_ event: HistoryEvent) throws -> [UInt8] {
        let head = "id: \(event.number)\nevent: \(event.kind)\ndata: "
        return Array(head.utf8) + (try MessageCodec.encode(QueueAnswer.event(event))) + Array("\n\n".utf8)
    }

    private func register() -> (UInt64, Wakeups)? {
        let wakes = Wakeups()
        let key = followers.withLock { followers -> UInt64? in
            guard followers.count < Self.followersMax else { return nil }
            let key = (followers.keys.max() ?? 0) + 1
            followers[key] = wakes
            return key
        }
        return key.map { ($0, wakes) }
    }

    private func unregister(_ key: UInt64) {
        _ = followers.withLock { $0.removeValue(forKey: key) }
    }
}
