import PostgresBridge
import ServiceLifecycle
import Synchronization

/// What a replica has work for.
package struct WorkKinds: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Queues want to be looked at.
    package static let reconcile = WorkKinds(rawValue: 1)
    /// Commands are to be sent.
    package static let commands = WorkKinds(rawValue: 2)
    /// The history has grown.
    package static let feed = WorkKinds(rawValue: 4)
    package static let all: WorkKinds = [.reconcile, .commands, .feed]
}

/// Gathers what this replica is to tell others.
package final class WorkAnnouncer: Sendable {
    private let kinds = Mutex<WorkKinds>([])
    fileprivate let wakeups = Wakeups()

    package init() {}

    /// To be called after the transaction that made the work; returns at once.
    package func announce(_ more: WorkKinds) {
        kinds.withLock { $0.formUnion(more) }
        wakeups.signal()
    }

    fileprivate func take() -> WorkKinds {
        kinds.withLock { kinds in
            defer { kinds = [] }
            return kinds
        }
    }
}

/// Tells other replicas that there is work, and hears it from them (design decision 4).
///
/// What is told within ``interval`` is one `NOTIFY`, in a transaction of its own: inside the one that made the
/// work it would let all of these commit one after the other. Nothing rests on it: a message that is lost
/// costs the wait until the next poll.
package struct WorkNotifier: Service {
    package static let channel = "streamforge_work"
    /// At most one notification in this time.
    static let interval = Duration.milliseconds(20)
    /// A quiet sender only looks whether it should end.
    private static let idleWait = Duration.seconds(60)

    private let configuration: PostgresConfiguration
    /// Names this replica, so that it does not listen to itself; without blanks.
    private let replica: String
    private let observe: EngineObserver
    private let hear: @Sendable (WorkKinds) -> Void
    private let outgoing: WorkAnnouncer

    /// - Parameter hear: told what other replicas say, and everything when some of it may have been missed.
    package init(
        _ configuration: PostgresConfiguration, _ outgoing: WorkAnnouncer, replica: String,
        observe: EngineObserver, hear: @escaping @Sendable (WorkKinds) -> Void
    ) {
        var configuration = configuration
        // A notification is no promise: it need not wait for the disk.
        configuration.sessionSettings["synchronous_commit"] = "off"
        self.configuration = configuration
        self.outgoing = outgoing
        self.replica = replica.replacing(" ", with: "_")
        self.observe = observe
        self.hear = hear
    }

    package func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await loop("notify", observe: observe) { try await send() } }
            group.addTask { await loop("listen", observe: observe) { try await listen() } }
        }
    }

    /// Sends until something fails; the caller begins anew with a new connection.
    private func send() async throws {
        let connection = try await PostgresConnection.open(configuration)
        do {
            while !Task.isCancelled { try await sendNext(over: connection) }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    private func sendNext(over connection: PostgresConnection) async throws {
        var kinds = outgoing.take()
        guard !kinds.isEmpty else { return await outgoing.wakeups.wait(atMost: Self.idleWait) }
        if kinds == .feed {
            // Followers elsewhere have time. What follows the events here has not, and would have to share its
            // processor with this.
            try await Task.sleep(for: Self.interval)
            kinds.formUnion(outgoing.take())
        }
        do {
            let payload = "\(kinds.rawValue) \(replica)"
            try await connection.execute("SELECT pg_notify(\(Self.channel), \(payload))")
        } catch {
            outgoing.announce(kinds)
            throw error
        }
        try await Task.sleep(for: Self.interval)
    }

    private func listen() async throws {
        for try await event in PostgresListener(configuration, channels: [Self.channel]) {
            switch event {
            case .listening: hear(.all)
            case .notification(let notification):
                if let kinds = Self.kinds(in: notification.payload, unlessFrom: replica) { hear(kinds) }
            }
        }
    }

    /// nil for what we said ourselves. A message of another form, e.g. of a newer version, means everything.
    static func kinds(in payload: String, unlessFrom replica: String) -> WorkKinds? {
        let parts = payload.split(separator: " ")
        guard parts.count == 2, let number = UInt8(parts[0]) else { return .all }
        return parts[1] == replica ? nil : WorkKinds(rawValue: number).intersection(.all)
    }
}
