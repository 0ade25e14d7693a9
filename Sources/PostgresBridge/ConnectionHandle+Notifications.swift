internal import CPQ
internal import Glibc

extension ConnectionHandle {
    /// Nothing waits to be read: on an idle connection that would be a farewell, or news so rare that a new
    /// connection costs nothing.
    var isQuiet: Bool { poll(events: Int16(POLLIN), limit: .zero) == 0 }

    /// Takes the notifications that came; waits for one up to `limit`.
    func notifications(limit: Duration) throws(PostgresError) -> [PostgresNotification] {
        let operation = "wait for notifications"
        let deadline = ContinuousClock.now + limit
        while true {
            if cancelSignal.isRequested {
                throw PostgresError(.cancelled, operation: operation, message: "the task was cancelled")
            }
            let found = takeNotifications()
            if !found.isEmpty { return found }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { return [] }
            let ready = poll(events: Int16(POLLIN), limit: left)
            guard ready != 0 else { continue }
            guard PQconsumeInput(pointer) == 1, !isBroken else { throw lost(operation) }
        }
    }

    private func takeNotifications() -> [PostgresNotification] {
        var found: [PostgresNotification] = []
        while let notify = PQnotifies(pointer) {
            found.append(
                PostgresNotification(
                    channel: String(cString: notify.pointee.relname),
                    payload: String(cString: notify.pointee.extra)))
            PQfreemem(notify)
        }
        return found
    }
}
