import Workflow

extension QueueState {
    /// Applies what a worker said.
    ///
    /// - Returns: false for a repeat, for a second process of an attempt, and for what this queue does not have.
    package mutating func apply(_ event: QueueEvent, _ context: OperationContext) -> Bool {
        let id = InstanceID(step: event.step, instance: event.instance)
        let attemptID = AttemptID(id, event.attempt)
        guard event.event == .status, let word = event.status, let attempt = attempts[attemptID],
            instances[id] != nil, attempt.lastEventSeq < event.seq,
            // A second process of the same attempt does not count.
            (attempt.workerID ?? event.workerID) == event.workerID,
            // A shared connector may say its last word again, or to a queue that was stopped.
            attempt.endedAt == nil || !plan.isShared(event.step)
        else { return false }
        let lease = context.policy.lease(of: id.step, in: plan)
        change(attemptID) {
            $0.lastEventSeq = event.seq
            $0.workerID = event.workerID
            $0.leaseUntil = context.now + lease
            $0.leaseBlind = context.blindMilliseconds
            if $0.endedAt == nil { $0.status = word.rawValue }
            // It has gone by itself: nobody is left to be told.
            if word.isFinal { $0.isStopSent = true }
        }
        let isCurrent =
            instances[id].map {
                $0.machine.hasBegun && $0.machine.attempt == event.attempt
            } ?? false
        if isCurrent, instances[id]?.machine.state.isFinal == false { saveCounts(of: event, id) }
        var detail = Self.detail(of: event)
        if !isCurrent { detail["is_late"] = .bool(true) }
        note(
            "worker_\(word.rawValue)", actor: event.producer, id: id, attempt: event.attempt, detail: detail)
        if word.isFinal {
            changes.settledAttempts.append(attemptID)
            // Its instance may be over already: then only the look that lets the attempt go is missing.
            changes.needsLook = true
        }
        // Events of an older attempt are history only: the machine ignores them.
        _ = apply(Self.input(for: event, word), to: id, actor: event.producer, stop: nil, context)
        return true
    }

    private mutating func saveCounts(of event: QueueEvent, _ id: InstanceID) {
        guard var instance = instances[id] else { return }
        var counts = event.counts
        counts.lastKey = counts.lastKey ?? instance.counts.lastKey
        counts.lastSeq = counts.lastSeq ?? instance.counts.lastSeq
        instance.counts = counts
        instance.extra = event.extra ?? instance.extra
        if event.status == .error, event.reason == EndReason.dataLost.rawValue {
            instance.extra = (instance.extra ?? [:]).merging([DataLoss.key: .bool(true)]) { $1 }
        }
        instances[id] = instance
        changes.instances.insert(id)
    }

    private static func input(for event: QueueEvent, _ word: QueueEvent.Status) -> InstanceMachine.Input {
        switch word {
        case .started, .loading: .alive(attempt: event.attempt)
        case .finished: .finished(attempt: event.attempt)
        case .interrupted: .interrupted(attempt: event.attempt)
        case .error:
            .failed(
                attempt: event.attempt,
                isRetriable: event.reason.flatMap(EndReason.init(rawValue:)) == .retriable,
                reason: event.error ?? event.message)
        }
    }

    private static func detail(of event: QueueEvent) -> [String: JSONValue] {
        var detail: [String: JSONValue] = [
            "seq": .integer(event.seq), "worker_id": .string(event.workerID),
            "message": .string(event.message),
            "records_read": .integer(event.recordsRead), "records_written": .integer(event.recordsWritten),
            "duplicates": .integer(event.duplicates), "dead_letters": .integer(event.deadLetters),
            "timestamp": .number(event.timestamp),
        ]
        if let key = event.lastKey { detail["last_key"] = .string(key) }
        if let reason = event.reason { detail["reason"] = .string(reason) }
        if let error = event.error { detail["error"] = .string(error) }
        if let extra = event.extra { detail["extra"] = .object(extra) }
        if let traceparent = event.traceparent { detail["traceparent"] = .string(traceparent) }
        return detail
    }
}
