import QueueManager
import Workflow

/// The engine's state in memory, with the transactions, locks and clock of a database.
///
/// `@unchecked`: lives on the simulation's one thread. Every method is atomic: it does not suspend.
package final class MemoryEngineStorage: @unchecked Sendable {
    struct StoredQueue {
        var state: QueueState
        var lookAt: Int64?
        var claimToken: String?
        var history: [HistoryEntry] = []
    }

    struct StoredCommand {
        var command: ControlCommand
        var sendAt: Int64
        var sends = 0
    }

    struct StoredPartition {
        var nextOffset: Int64 = 0
        var owner: String?
        var ownedUntil: Int64 = 0
        var caughtUpAt: Int64?
        var blind: Int64 = 0
    }

    private(set) var queues: [QueueID: StoredQueue] = [:]
    /// What was created with each idempotency key.
    private var keys: [String: NewQueue] = [:]
    private(set) var outbox: [StoredCommand] = []
    private(set) var partitions: [Int32: StoredPartition] = [:]
    var resources = MemoryResources()
    /// Whether whoever gave a resource back dies before it could wake the next in line.
    var losesWake: () -> Bool = { false }
    /// Told after every transaction that may have changed who has what.
    var onHolds: (MemoryEngineStorage) -> Void = { _ in }
    private let clock: () -> Int64
    let bugs: Set<PlantedBug>
    var now: Int64 { clock() }
    /// Told every queue that a transaction changed.
    var onChange: (QueueState) -> Void = { _ in }

    private static let partitionLease: Int64 = 3_000
    private static let resend: Int64 = 5_000

    package init(bugs: Set<PlantedBug> = [], clock: @escaping () -> Int64) {
        self.clock = clock
        self.bugs = bugs
    }

    // MARK: Creation and requests

    package func create(_ queues: [NewQueue], look: CreationLook?) async throws -> CreationReport {
        var report = CreationReport()
        for queue in queues {
            if let key = queue.idempotencyKey {
                if let known = keys[key] {
                    let isSame = known.requestHash == queue.requestHash
                    report.answers.append(isSame ? .known(known.queueID) : .idempotencyMismatch)
                    continue
                }
                keys[key] = queue
            }
            insert(.new(queue), look, &report)
            report.answers.append(.created(at: "\(clock())"))
        }
        return report
    }

    private func insert(_ state: QueueState, _ look: CreationLook?, _ report: inout CreationReport) {
        let now = clock()
        var stored = StoredQueue(state: state, lookAt: now)
        if let look,
            let plan = report.look(
                at: &stored.state, look, limits: resources.limits, { facts($0, now) })
        {
            schedule(&stored, plan, token: look.token, now)
        } else {
            report.noteUnlooked()
        }
        write(&stored)
        queues[state.queueID] = stored
    }

    /// When a queue is looked at next, and who holds it until then.
    private func schedule(_ stored: inout StoredQueue, _ plan: LookPlan, token: String, _ now: Int64) {
        if !plan.keepsClaim {
            stored.claimToken = nil
            stored.lookAt = plan.lookAgain.map { now + $0 }
        } else {
            stored.claimToken = token
            stored.lookAt = bugs.contains(.claimForever) ? nil : now + LookRequest.claimMilliseconds
        }
    }

    package func request(_ request: QueueRequest, of id: QueueID) -> EngineStore.RequestOutcome {
        guard var stored = queues[id] else { return .unknownQueue }
        let context = OperationContext(now: clock(), policy: EnginePolicy(), jitter: 0)
        let outcome = stored.state.answer(to: request, actor: "api", context)
        let needsLook = stored.state.changes.needsLook && !bugs.contains(.lostWakeup)
        write(&stored)
        if needsLook { lookSoon(&stored) }
        queues[id] = stored
        return outcome
    }

    package func retry(_ request: RetryRequest, of id: QueueID) -> RetryOutcome {
        guard var stored = queues[id] else { return .unknownQueue }
        let context = OperationContext(now: clock(), policy: EnginePolicy(), jitter: 0)
        let outcome = stored.state.answer(to: request, actor: "api", context)
        write(&stored)
        if case .accepted = outcome { lookSoon(&stored) }
        queues[id] = stored
        return outcome
    }

    package func state(of id: QueueID) -> QueueState? { queues[id]?.state }
    package func history(of id: QueueID) -> [HistoryEntry] { queues[id]?.history ?? [] }

    private func lookSoon(_ stored: inout StoredQueue) {
        if stored.claimToken == nil { stored.lookAt = min(stored.lookAt ?? .max, clock()) }
    }

    /// Writes what was changed: history and commands leave the state, which is then clean.
    private func write(_ stored: inout StoredQueue) {
        let changes = stored.state.changes
        guard !changes.isEmpty else { return }
        stored.history += changes.history
        for command in changes.commands {
            if bugs.contains(.droppedStops), command.reason == "attempt_lost" { continue }
            outbox.append(StoredCommand(command: command, sendAt: clock()))
        }
        let id = stored.state.queueID
        let settled = Set(changes.settledAttempts)
        outbox.removeAll { entry in
            guard entry.command.queueID == id else { return false }
            if changes.dropsCommands, entry.sends > 0 { return true }
            guard let step = entry.command.step, let instance = entry.command.instance,
                let attempt = entry.command.attempt
            else { return false }
            return settled.contains(AttemptID(InstanceID(step: step, instance: instance), attempt))
        }
        if bugs.contains(.reusedAttemptNumber) { reuseAttemptNumbers(&stored.state) }
        onChange(stored.state)
        stored.state.changes = QueueChanges()
    }

    private func reuseAttemptNumbers(_ state: inout QueueState) {
        for (id, instance) in state.instances where instance.machine.state == .waiting {
            let machine = instance.machine
            guard machine.hasBegun, state.changes.instances.contains(id) else { continue }
            state.attempts[AttemptID(id, machine.attempt)] = nil
            state.instances[id]?.machine = InstanceMachine(
                state: .waiting, attempt: machine.attempt - 1,
                attemptsBefore: machine.attemptsBefore, failures: machine.failures,
                isWanted: machine.isWanted, reason: machine.reason, attemptsMax: machine.attemptsMax)
        }
    }
}

extension MemoryEngineStorage: EngineStorage {
    package func look(
        _ request: LookRequest, _ work: @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan
    ) async throws -> [LookResult] {
        let now = clock()
        return claims(for: request.selection, now).compactMap { claim in
            guard var stored = queues[claim.queueID] else { return nil }
            let whole = stored.state
            stored.state.attempts = whole.attempts.filter { !$0.value.isGone }
            var facts = facts(request.eventPartition(claim.queueID), now)
            var table = resources.table(for: stored.state)
            facts.resources = table.view(of: stored.state)
            let plan = work(&stored.state, facts, claim)
            table.settle(stored.state, plan.waits)
            let result = LookResult(claim: claim, queue: stored.state, plan: plan)
            stored.state.attempts.merge(whole.attempts) { changed, _ in changed }
            write(&stored)
            schedule(&stored, plan, token: claim.token, now)
            queues[claim.queueID] = stored
            write(table.changes)
            return result
        }
    }

    private func write(_ changes: ResourceTable.Changes) {
        let states = queues
        resources.write(changes) { queue, id in
            bugs.contains(.keptHold) && states[queue]?.state.instances[id]?.machine.state == .failed
        }
        onHolds(self)
        guard !losesWake() else { return }
        for id in resources.next(for: changes.freed).sorted(by: { $0.rawValue < $1.rawValue }) {
            guard var stored = queues[id], !stored.state.isCleaned else { continue }
            lookSoon(&stored)
            queues[id] = stored
        }
    }

    private func claims(for selection: LookSelection, _ now: Int64) -> [QueueClaim] {
        switch selection {
        case .due(let limit, let token):
            let due = queues.filter { entry in
                !entry.value.state.isCleaned && entry.value.lookAt.map { $0 <= now } ?? false
            }
            let ordered = due.sorted {
                ($0.value.lookAt ?? 0, $0.key.rawValue) < ($1.value.lookAt ?? 0, $1.key.rawValue)
            }
            return ordered.prefix(limit).map { QueueClaim(queueID: $0.key, token: token) }
        case .claimed(let claims):
            return claims.filter { queues[$0.queueID]?.claimToken == $0.token }
        }
    }

    private func facts(_ partition: Int32, _ now: Int64) -> LookFacts {
        let row = partitions[partition] ?? StoredPartition()
        return LookFacts(
            now: now,
            appliedOffset: bugs.contains(.endJudgedBeforeBacklog) ? .max : row.nextOffset,
            caughtUpAt: bugs.contains(.leaseJudgedBeforeBacklog) ? now : row.caughtUpAt,
            blindMilliseconds: bugs.contains(.leaseJudgedBeforeBacklog) ? 0 : row.blind)
    }

    package func renew(_ claims: [QueueClaim]) async throws {
        for claim in claims where queues[claim.queueID]?.claimToken == claim.token {
            queues[claim.queueID]?.lookAt = clock() + LookRequest.claimMilliseconds
        }
    }

    package func release(_ claim: QueueClaim, lookAgain milliseconds: Int64) async throws {
        guard queues[claim.queueID]?.claimToken == claim.token else { return }
        queues[claim.queueID]?.claimToken = nil
        queues[claim.queueID]?.lookAt = clock() + milliseconds
    }

    package func millisecondsToNextLook(limit: Int64) async throws -> Int64 {
        let next = queues.values.filter { !$0.state.isCleaned }.compactMap(\.lookAt).min()
        return min(max((next ?? .max / 2) - clock(), 0), limit)
    }

    package func requestLook(at id: QueueID) async throws {
        guard var stored = queues[id], !stored.state.isCleaned else { return }
        lookSoon(&stored)
        queues[id] = stored
    }

    package func renewPartitions(
        count: Int32, owner: String, caughtUp: [Int32], upTo: Int64
    ) async throws -> PartitionRenewal {
        let now = clock()
        var owned: [OwnedPartition] = []
        for number in 0..<count {
            var row = partitions[number] ?? StoredPartition(caughtUpAt: now)
            if row.owner == owner, caughtUp.contains(number) {
                let gap = upTo - (row.caughtUpAt ?? upTo)
                if gap > PartitionRenewal.gapMilliseconds { row.blind += gap }
                row.caughtUpAt = max(row.caughtUpAt ?? 0, upTo)
            }
            let isFree = row.owner == nil || (row.ownedUntil < now && !bugs.contains(.partitionForever))
            if isFree || row.owner == owner {
                row.owner = owner
                row.ownedUntil = now + Self.partitionLease
                owned.append(OwnedPartition(partition: number, nextOffset: row.nextOffset))
            }
            partitions[number] = row
        }
        return PartitionRenewal(partitions: owned, clock: now)
    }

    package func disownPartitions(owner: String) async throws {
        for (number, row) in partitions where row.owner == owner { partitions[number]?.owner = nil }
    }

    package func apply(
        _ batches: [EventBatch], owner: String, look: EventLook?,
        _ work: @Sendable (inout QueueState, QueueEvent, EventFacts) -> Bool
    ) async throws -> ApplyReport {
        for batch in batches {
            let row = partitions[batch.from.partition] ?? StoredPartition()
            guard row.owner == owner, row.nextOffset == batch.from.nextOffset else {
                throw PartitionLost(partition: batch.from.partition)
            }
        }
        var report = ApplyReport()
        for batch in batches {
            partitions[batch.from.partition]?.nextOffset = batch.nextOffset
            for id in Set(batch.events.compactMap(\.event?.queueID)) { followUp(id, batch, look) }
            let facts = EventFacts(
                now: clock(), blindMilliseconds: partitions[batch.from.partition]?.blind ?? 0)
            for event in batch.events {
                if let event = event.event, apply(event, facts, work) {
                    report.applied += 1
                } else {
                    report.skipped += 1
                }
            }
        }
        for batch in batches {
            for id in Set(batch.events.compactMap(\.event?.queueID)).sorted(by: { $0.rawValue < $1.rawValue })
            {
                settle(id, batch.from.partition, look, &report)
            }
        }
        return report
    }

    /// The claim that a queue was handed in with, if it still holds and the queue may be looked at.
    private func handedIn(_ stored: StoredQueue, _ look: EventLook?) -> QueueClaim? {
        guard let look, let claim = look.held[stored.state.queueID], claim.token == stored.claimToken else {
            return nil
        }
        return claim
    }

    private func mayLook(at stored: StoredQueue, _ look: EventLook) -> Bool {
        (stored.claimToken == nil || handedIn(stored, look) != nil)
            && !resources.limits.concern(stored.state.plan)
    }

    /// Writes down what came of the effects of a queue that was handed in.
    private func followUp(_ id: QueueID, _ batch: EventBatch, _ look: EventLook?) {
        guard let look, var stored = queues[id], handedIn(stored, look) != nil, mayLook(at: stored, look)
        else { return }
        look.followUp(&stored.state, facts(batch.from.partition, clock()))
        queues[id] = stored
    }

    private func apply(
        _ event: QueueEvent, _ facts: EventFacts,
        _ work: (inout QueueState, QueueEvent, EventFacts) -> Bool
    ) -> Bool {
        guard var stored = queues[event.queueID] else { return false }
        var event = event
        if bugs.contains(.staleEventsTaken) { takeForCurrent(&event, stored.state) }
        let isApplied = work(&stored.state, event, facts)
        queues[event.queueID] = stored
        return isApplied
    }

    /// Writes what events changed in a queue, and looks at it if nobody else holds it.
    private func settle(_ id: QueueID, _ partition: Int32, _ look: EventLook?, _ report: inout ApplyReport) {
        guard var stored = queues[id] else { return }
        let now = clock()
        let held = handedIn(stored, look)
        guard held != nil || !stored.state.changes.isEmpty else { return }
        if let look, mayLook(at: stored, look),
            let plan = report.look(at: &stored.state, look, held: held, facts(partition, now))
        {
            write(&stored)
            schedule(&stored, plan, token: held?.token ?? look.token, now)
        } else {
            let asksForLook = stored.state.changes.needsLook
            write(&stored)
            if asksForLook {
                lookSoon(&stored)
                if stored.claimToken == nil { report.needsLook = true }
            }
        }
        queues[id] = stored
    }

    private func takeForCurrent(_ event: inout QueueEvent, _ state: QueueState) {
        let id = InstanceID(step: event.step, instance: event.instance)
        guard let current = state.instances[id]?.machine.attempt, event.attempt < current else { return }
        event.attempt = current
        event.seq += 1_000
        event.workerID = state.attempts[AttemptID(id, current)]?.workerID ?? event.workerID
    }

    /// As the planted bug has it: the offset is moved, the events are not applied yet.
    func moveOffsetsOnly(_ batches: [EventBatch]) {
        for batch in batches { partitions[batch.from.partition]?.nextOffset = batch.nextOffset }
    }

    package func dispatch(limit: Int, _ send: ([ControlCommand]) async throws -> Void) async throws -> Int {
        let now = clock()
        let due = outbox.filter { $0.sendAt <= now }
            .sorted {
                ($0.command.queueID.rawValue, $0.command.commandSeq)
                    < ($1.command.queueID.rawValue, $1.command.commandSeq)
            }
            .prefix(limit)
        guard !due.isEmpty else { return 0 }
        try await send(due.map(\.command))
        let sent = Set(due.map(\.command.commandID))
        for index in outbox.indices where sent.contains(outbox[index].command.commandID) {
            outbox[index].sendAt = clock() + Self.resend
            outbox[index].sends += 1
        }
        for entry in due {
            guard var stored = queues[entry.command.queueID] else { continue }
            stored.state.noteSent(entry.command)
            let needsLook = stored.state.changes.needsLook
            write(&stored)
            if needsLook { lookSoon(&stored) }
            queues[entry.command.queueID] = stored
        }
        return due.count
    }
}
