import KafkaBridge
import ServiceRuntime
import Synchronization
import Workflow

/// Sends the events of one attempt, one at a time and in order: `started`, `loading` as a heartbeat at least
/// every third of the lease and at most every ``Limits/coalesce``, pongs, and one final event.
final class Telemetry: Sendable {
    struct Progress: Sendable, Equatable {
        var counts = InstanceCounts()
        var message = "Loading"
        var extra: [String: JSONValue] = [:]
    }

    struct Limits: Sendable {
        var lease: Duration
        /// Progress is reported at most this often.
        var coalesce = Duration.seconds(1)
        /// Pings that wait for an answer; more are not answered.
        var pingsMax = 100
        var retryPause = Duration.milliseconds(200)

        var heartbeat: Duration { lease / 3 }
        /// How often the loop looks; a heartbeat is sent a tick early rather than late.
        var tick: Duration { min(coalesce, lease / 12) }
    }

    private struct Mailbox {
        var progress = Progress()
        var isChanged = false
        var pings: [ControlCommand] = []
        /// Told that a ping came.
        var waker: CheckedContinuation<Void, Never>?
        var pongsSent = 0
        var seq: Int64 = 0
    }

    private let sender: EventSender
    private let limits: Limits
    private let crashPoints: CrashPoints
    private let health: HealthState
    private let observe: WorkerObserver
    private let mailbox = Mutex(Mailbox())

    init(
        sender: EventSender, limits: Limits, crashPoints: CrashPoints, health: HealthState,
        observe: WorkerObserver
    ) {
        self.sender = sender
        self.limits = limits
        self.crashPoints = crashPoints
        self.health = health
        self.observe = observe
    }

    /// The counts reported last.
    var counts: InstanceCounts { mailbox.withLock { $0.progress.counts } }

    /// Pings that were answered.
    var pongsSent: Int { mailbox.withLock { $0.pongsSent } }

    func update(_ progress: Progress) {
        observe(.progressed(progress.counts))
        mailbox.withLock { mailbox in
            mailbox.isChanged = mailbox.isChanged || mailbox.progress != progress
            mailbox.progress = progress
        }
    }

    func answer(_ ping: ControlCommand) {
        let waker = mailbox.withLock { mailbox in
            if mailbox.pings.count < limits.pingsMax { mailbox.pings.append(ping) }
            return mailbox.waker.take()
        }
        waker?.resume()
    }

    /// Returns when the broker has stored `started`.
    ///
    /// - Throws: the last error, when it could not be delivered within `limit`.
    func sendStarted(limit: Duration) async throws {
        try await send(until: .now + limit) { $0.event(.started, seq: $1, message: "Started") }
    }

    /// Sends `started` on its way; what is sent later arrives later.
    func handOverStarted() async throws(KafkaError) -> (QueueEvent, EventSender.Handed) {
        let event = sender.identity.event(.started, seq: nextSeq(), message: "Started")
        return (event, try await sender.handOver(event))
    }

    /// Returns when the broker has stored the `started` that was handed over, or another one.
    ///
    /// - Throws: the last error, when it could not be delivered within `limit`.
    func confirmStarted(_ event: QueueEvent, _ handed: EventSender.Handed, limit: Duration) async throws {
        do throws(KafkaError) {
            observe(.eventDelivered(event, took: try await sender.stored(handed)))
        } catch {
            // Also when its producer is of no more use: another has taken its place.
            observe(.eventFailed(event.status, error))
            try await sendStarted(limit: limit)
        }
    }

    private func nextSeq() -> Int64 {
        mailbox.withLock { mailbox in
            mailbox.seq += 1
            return mailbox.seq
        }
    }

    /// Sends heartbeats, progress and pongs until the task is cancelled.
    func run() async {
        var lastSent = ContinuousClock.now
        while !Task.isCancelled {
            health.beat("telemetry", limit: .seconds(120))
            let sinceSent = ContinuousClock.now - lastSent
            let (pings, isChanged) = mailbox.withLock { mailbox in
                defer { mailbox.pings = [] }
                return (mailbox.pings, mailbox.isChanged)
            }
            for ping in pings { await sendPong(ping) }
            let isDue = sinceSent >= limits.heartbeat - limits.tick
            if isDue || (isChanged && sinceSent >= limits.coalesce) {
                lastSent = .now
                await sendLoading()
            }
            await waitForTickOrPing()
        }
        health.endBeat("telemetry")
    }

    /// A ping is answered at once: its round trip is what people measure.
    private func waitForTickOrPing() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [limits] in try? await Task.sleep(for: limits.tick) }
            group.addTask { await self.waitForPing() }
            await group.next()
            group.cancelAll()
        }
    }

    private func waitForPing() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = mailbox.withLock { mailbox in
                    if !mailbox.pings.isEmpty || Task.isCancelled { return true }
                    mailbox.waker = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            mailbox.withLock { $0.waker.take() }?.resume()
        }
    }

    /// Returns when the broker has stored the final event.
    ///
    /// - Throws: the last error, when it could not be delivered within `limit`.
    func sendFinal(_ report: FinalReport, limit: Duration) async throws {
        let progress = mailbox.withLock { $0.progress }
        crashPoints.reach(.beforeFinalEvent)
        try await send(until: .now + limit) { identity, seq in
            var event = identity.event(report.status, seq: seq, message: report.message)
            event.set(report.counts ?? progress.counts)
            event.reason = report.reason?.rawValue
            event.error = report.error
            event.extra = report.extra.isEmpty ? nil : report.extra
            return event
        }
        crashPoints.reach(.afterFinalEvent)
    }

    private func sendLoading() async {
        let progress = mailbox.withLock { mailbox in
            mailbox.isChanged = false
            return mailbox.progress
        }
        // A heartbeat that fails is observed; the next one comes by itself.
        try? await send(until: .now) { identity, seq in
            var event = identity.event(.loading, seq: seq, message: progress.message)
            event.set(progress.counts)
            event.extra = progress.extra.isEmpty ? nil : progress.extra
            return event
        }
    }

    private func sendPong(_ ping: ControlCommand) async {
        // Nobody waits for an answer that comes late, so it is not tried again.
        let outcome: Void? = try? await send(until: .now) { identity, seq in
            var event = identity.event(nil, seq: seq, message: "Pong")
            event.extra = [
                "command_id": .string(ping.commandID), "ping_timestamp": .number(ping.timestamp),
                "pong_timestamp": .number(event.timestamp),
            ]
            return event
        }
        if outcome != nil { mailbox.withLock { $0.pongsSent += 1 } }
    }

    /// Tries at least once, then until the deadline. Each try has a number and a time of its own.
    private func send(
        until deadline: ContinuousClock.Instant,
        _ make: @Sendable (WorkerIdentity, _ seq: Int64) -> QueueEvent
    ) async throws {
        while true {
            let event = make(sender.identity, nextSeq())
            do throws(KafkaError) {
                let took = try await sender.send(event)
                health.setReady("kafka")
                return observe(.eventDelivered(event, took: took))
            } catch {
                health.setReady("kafka", problem: "an event could not be delivered")
                observe(.eventFailed(event.status, error))
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: limits.retryPause)
            }
        }
    }
}

extension QueueEvent {
    fileprivate mutating func set(_ counts: InstanceCounts) {
        recordsRead = counts.recordsRead
        recordsWritten = counts.recordsWritten
        duplicates = counts.duplicates
        deadLetters = counts.deadLetters
        lastKey = counts.lastKey
        lastSeq = counts.lastSeq
    }
}
