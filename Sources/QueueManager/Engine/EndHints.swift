import Synchronization
import Workflow

/// Passes on that jobs of a queue ended: the first hint at once, later ones of the same queue together when the window
/// of the first is over. A large queue is not looked at for each of its many jobs.
///
/// Bounded by the queues of which a hint came within the last window, at most ``queuesMax``: beyond it hints are lost,
/// as any may be, and jobs are polled all the same.
final class EndHints: Sendable {
    static let queuesMax = 4_096

    private let window: Duration
    private let pass: @Sendable (QueueID) async -> Void
    /// Of each queue with an open window: whether another hint came since it began.
    private let open = Mutex<[QueueID: Bool]>([:])

    init(window: Duration, pass: @escaping @Sendable (QueueID) async -> Void) {
        self.window = window
        self.pass = pass
    }

    /// Until `ends` is over or the task is cancelled; then hints that still wait are dropped.
    func run(_ ends: some AsyncSequence<QueueID, Never> & Sendable) async {
        await withDiscardingTaskGroup { group in
            for await id in ends {
                guard note(id) else { continue }
                await pass(id)
                group.addTask { await self.keepOpen(id) }
            }
            group.cancelAll()
        }
    }

    /// - Returns: whether a window begins with it.
    private func note(_ id: QueueID) -> Bool {
        open.withLock { open in
            if open[id] != nil {
                open[id] = true
                return false
            }
            guard open.count < Self.queuesMax else { return false }
            open[id] = false
            return true
        }
    }

    private func keepOpen(_ id: QueueID) async {
        while true {
            guard (try? await Task.sleep(for: window)) != nil else { return }
            let hasMore = open.withLock { open in
                let hasMore = open[id] == true
                open[id] = hasMore ? false : nil
                return hasMore
            }
            guard hasMore else { return }
            await pass(id)
        }
    }
}
