internal import CPQ
internal import Glibc
internal import Synchronization

/// Wakes a connection that waits in `poll` because the task it works for was cancelled.
///
/// A request names the ticket of one piece of work, so that a late one never hits the next piece.
final class CancelSignal: Sendable {
    private struct State {
        var ticket: UInt64 = 0
        var isRequested = false
    }

    /// Readable once a request came in.
    let fileDescriptor: Int32
    private let state = Mutex(State())

    /// - Throws: ``PostgresError`` `connectFailed` when the process has no file descriptor left.
    init() throws(PostgresError) {
        fileDescriptor = cpq_eventfd()
        guard fileDescriptor >= 0 else {
            throw PostgresError(
                .connectFailed, operation: "open a connection", message: String(cString: strerror(errno)))
        }
    }

    deinit { close(fileDescriptor) }

    var isRequested: Bool { state.withLock { $0.isRequested } }

    /// Starts a new piece of work; requests for earlier ones count no more.
    func begin() -> UInt64 {
        state.withLock { state in
            state.ticket += 1
            state.isRequested = false
            clear()
            return state.ticket
        }
    }

    func request(_ ticket: UInt64) {
        state.withLock { state in
            guard state.ticket == ticket else { return }
            state.isRequested = true
            eventfd_write(fileDescriptor, 1)
        }
    }

    /// Makes the descriptor unreadable again; `isRequested` stays.
    func clear() {
        var count: eventfd_t = 0
        eventfd_read(fileDescriptor, &count)
    }
}
