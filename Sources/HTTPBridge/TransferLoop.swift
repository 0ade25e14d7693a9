internal import CCurl
import Dispatch
import Synchronization

typealias TransferID = UInt64

/// The one thread that talks to libcurl, and the mailbox others reach it by.
///
/// The thread sleeps in `curl_multi_poll` until a socket, one of libcurl's timers or a message wakes it.
final class TransferLoop: Sendable {
    enum Message {
        case start(TransferID, HTTPRequest, any ResponseSink)
        case cancel(TransferID)
        case resume(TransferID)
        case stop
    }

    private struct Mailbox {
        var messages: [Message] = []
        var hasEnded = false
    }

    let ended = OneShot<Void>()
    private let configuration: HTTPClient.Configuration
    private let multi = MultiHandle()
    private let mailbox = Mutex(Mailbox())
    private let lastID = Atomic<TransferID>(0)

    init(_ configuration: HTTPClient.Configuration) {
        self.configuration = configuration
    }

    func makeID() -> TransferID { lastID.add(1, ordering: .relaxed).newValue }

    func start(_ id: TransferID, _ request: HTTPRequest, _ sink: any ResponseSink) {
        guard !post(.start(id, request, sink)) else { return }
        sink.end(.failure(Self.closedError(request)))
    }

    func cancel(_ id: TransferID) { post(.cancel(id)) }
    func resume(_ id: TransferID) { post(.resume(id)) }
    func stop() { post(.stop) }

    /// Starts the thread. It keeps this object alive until ``stop()``.
    func launch() {
        // A serial queue's long-running block has a thread to itself: such queues overcommit.
        DispatchQueue(label: "http-transfers").async { self.run() }
    }

    /// False when the thread has ended.
    @discardableResult
    private func post(_ message: Message) -> Bool {
        // The wake-up is inside the lock: afterwards the handle may be gone.
        mailbox.withLock { mailbox in
            guard !mailbox.hasEnded else { return false }
            if mailbox.messages.isEmpty { multi.wakeUp() }
            mailbox.messages.append(message)
            return true
        }
    }

    private func run() {
        var table = TransferTable(multi, configuration)
        var isStopped = false
        while !isStopped {
            let messages = mailbox.withLock { mailbox -> [Message] in
                defer { mailbox.messages.removeAll(keepingCapacity: true) }
                return mailbox.messages
            }
            for message in messages {
                if case .stop = message { isStopped = true } else { table.handle(message) }
            }
            table.perform()
            if !isStopped { multi.wait(at: most(table.timeToNextDeadline)) }
        }
        let late = mailbox.withLock { mailbox -> [Message] in
            mailbox.hasEnded = true
            return mailbox.messages
        }
        for case .start(_, let request, let sink) in late { sink.end(.failure(Self.closedError(request))) }
        table.endAll()
        multi.cleanUp()
        ended.fulfil(())
    }

    /// libcurl adds its own timers; this bounds the sleep when there are none.
    private func most(_ deadline: Duration?) -> Duration { min(deadline ?? .seconds(600), .seconds(600)) }

    private static func closedError(_ request: HTTPRequest) -> HTTPError {
        HTTPError(.closed, operation: request.method.rawValue, detail: "the client is closed")
    }
}

/// libcurl's multi handle. Used by the loop's thread only, but for `wakeUp`, which libcurl allows anywhere;
/// that is why it may be shared.
final class MultiHandle: @unchecked Sendable {
    /// Thread-safe since 7.84; the first use of the type runs it once.
    private static let globalCode = curl_global_init(Int(CURL_GLOBAL_ALL))

    let pointer: OpaquePointer

    init() {
        guard Self.globalCode == CURLE_OK, let pointer = curl_multi_init() else {
            preconditionFailure("libcurl cannot start")
        }
        self.pointer = pointer
    }

    func wakeUp() { curl_multi_wakeup(pointer) }

    func wait(at most: Duration) {
        let milliseconds =
            most.components.seconds * 1_000 + most.components.attoseconds / 1_000_000_000_000_000 + 1
        curl_multi_poll(pointer, nil, 0, Int32(clamping: max(0, milliseconds)), nil)
    }

    /// Closes all connections. The last call on this handle.
    func cleanUp() { curl_multi_cleanup(pointer) }
}
