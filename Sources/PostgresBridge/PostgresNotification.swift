/// A message of `NOTIFY`.
package struct PostgresNotification: Sendable, Hashable {
    package var channel: String
    /// Empty where the sender gave none.
    package var payload: String

    package init(channel: String, payload: String) {
        self.channel = channel
        self.payload = payload
    }
}

/// What a listener hears.
package enum PostgresListenerEvent: Sendable, Hashable {
    /// We listen from now on, for the first time or again. What was sent before is lost: look for yourself.
    case listening
    case notification(PostgresNotification)
}

/// Listens on channels for as long as it is iterated: an endless sequence that ends when its task is
/// cancelled.
///
/// It has one connection of its own, opened again with growing pauses when it breaks; each time it begins
/// with ``PostgresListenerEvent/listening``. Equal notifications that wait to be read are one. When more
/// than `pendingMax` different ones wait, they are dropped for one `listening`: look for yourself.
package struct PostgresListener: AsyncSequence, Sendable {
    package typealias Element = PostgresListenerEvent

    private let configuration: PostgresConfiguration
    private let channels: [String]
    private let pendingMax: Int
    private let observe: PostgresObserver

    package init(
        _ configuration: PostgresConfiguration, channels: [String], pendingMax: Int = 1_000,
        observe: @escaping PostgresObserver = { _ in }
    ) {
        self.configuration = configuration
        self.channels = channels
        self.pendingMax = pendingMax
        self.observe = observe
    }

    package func makeAsyncIterator() -> Iterator {
        Iterator(
            configuration: configuration, channels: channels, observe: observe,
            pending: PendingNotifications(limit: pendingMax))
    }

    package struct Iterator: AsyncIteratorProtocol {
        /// A quiet connection is tried this often: a dead peer shows only when spoken to.
        private static let checkInterval = Duration.seconds(20)

        fileprivate let configuration: PostgresConfiguration
        fileprivate let channels: [String]
        fileprivate let observe: PostgresObserver
        fileprivate var pending: PendingNotifications
        private var connection: PostgresConnection?

        fileprivate init(
            configuration: PostgresConfiguration, channels: [String], observe: @escaping PostgresObserver,
            pending: PendingNotifications
        ) {
            self.configuration = configuration
            self.channels = channels
            self.observe = observe
            self.pending = pending
        }

        /// - Returns: nil when the task was cancelled.
        /// - Throws: ``PostgresError`` when connecting again cannot help: a refused login, a bad setting.
        package mutating func next() async throws(PostgresError) -> PostgresListenerEvent? {
            while !Task.isCancelled {
                if let event = pending.next() { return event }
                do throws(PostgresError) {
                    guard let connection else {
                        try await listen()
                        continue
                    }
                    let found = try await connection.notifications(limit: Self.checkInterval)
                    if found.isEmpty { try await connection.execute("SELECT 1") }
                    pending.append(found)
                } catch {
                    if error.code == .cancelled { break }
                    guard error.isConnectionLost || error.isRetriable, !error.isRefusedLogin else {
                        throw error
                    }
                    observe(.connectionReplaced(reason: error.message))
                    connection = nil
                }
            }
            return nil
        }

        /// Connects, as often as it takes.
        private mutating func listen() async throws(PostgresError) {
            var backoff = configuration.backoffInitial
            var attempt = 1
            while true {
                do throws(PostgresError) {
                    let opened = try await PostgresConnection.open(configuration)
                    try await opened.execute(channels.map { "LISTEN \(identifier: $0)" })
                    connection = opened
                    pending.startAnew()
                    observe(.listening(channels: channels))
                    return
                } catch {
                    guard error.isRetriable else { throw error }
                    observe(.connectFailed(error, attempt: attempt))
                }
                // A cancelled sleep ends at once; the next attempt to connect then throws `cancelled`.
                try? await Task.sleep(for: backoff)
                backoff = Swift.min(backoff * 2, configuration.backoffMax)
                attempt += 1
            }
        }
    }
}

/// What waits to be read: bounded, without repeats.
struct PendingNotifications {
    private let limit: Int
    private var isAnew = false
    private var queue: [PostgresNotification] = []
    private var known: Set<PostgresNotification> = []

    init(limit: Int) {
        self.limit = limit
    }

    mutating func startAnew() {
        isAnew = true
        queue.removeAll()
        known.removeAll()
    }

    mutating func append(_ notifications: [PostgresNotification]) {
        for notification in notifications where known.insert(notification).inserted {
            queue.append(notification)
        }
        if queue.count > limit { startAnew() }
    }

    mutating func next() -> PostgresListenerEvent? {
        if isAnew {
            isAnew = false
            return .listening
        }
        guard !queue.isEmpty else { return nil }
        let first = queue.removeFirst()
        known.remove(first)
        return .notification(first)
    }
}
