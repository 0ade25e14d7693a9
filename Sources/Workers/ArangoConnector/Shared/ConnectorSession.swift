import KafkaBridge
import ServiceRuntime
import Synchronization
import WorkerKit
import Workflow

/// Jobs that came to an end, for the session that asked for them.
final class JobMailbox: Sendable {
    private let ended = Mutex<[(StreamJob, StreamJob.Result)]>([])

    func put(_ job: StreamJob, _ result: StreamJob.Result) { ended.withLock { $0.append((job, result)) } }

    func take() -> [(StreamJob, StreamJob.Result)] {
        ended.withLock { ended in
            defer { ended = [] }
            return ended
        }
    }
}

/// One membership in the group: reads what it is given, has it stored, commits what is.
///
/// Nothing here waits for the store: when too much is held the partitions are paused, and polls go on all the
/// same, so that the group keeps its member.
struct ConnectorSession {
    let consumer: KafkaConsumer
    let topics: [String]
    let parts: SharedParts
    let runner: StreamJobRunner
    let control: ConnectorControl
    let stop: StopSignal
    let health: HealthState
    /// Has a job carried out; its result comes to the mailbox.
    let start: @Sendable (StreamJob) -> Void
    let mailbox: JobMailbox

    private var desk: StreamDesk
    private var held: Set<TopicPartition> = []
    private var committed: [TopicPartition: Int64] = [:]
    private var running: [ObjectIdentifier: StreamJob] = [:]
    private var isPaused = false
    private var housekept = ContinuousClock.now
    /// Topics that were there when we last looked, and when that was.
    private var subscribed: [String] = []
    private var lookedForTopics: ContinuousClock.Instant?
    private var wait = JoinWait()

    private static let busyPoll = Duration.milliseconds(10)
    private static let idlePoll = Duration.milliseconds(100)
    private static let topicsPause = Duration.seconds(2)
    private static let drainPause = Duration.milliseconds(5)
    static let loopName = "shared topics"

    init(
        consumer: KafkaConsumer, topics: [String], runner: StreamJobRunner, control: ConnectorControl,
        stop: StopSignal, health: HealthState, mailbox: JobMailbox,
        start: @escaping @Sendable (StreamJob) -> Void
    ) {
        self.consumer = consumer
        self.topics = topics
        self.runner = runner
        parts = runner.parts
        self.control = control
        self.stop = stop
        self.health = health
        self.mailbox = mailbox
        self.start = start
        desk = StreamDesk(limits: runner.parts.limits)
    }

    /// Reads until a stop; what is in hand then is stored and committed, as far as that is possible in time.
    ///
    /// - Throws: ``KafkaError`` when everything read has to be read anew, by a new membership.
    mutating func run() async throws(KafkaError) {
        do throws(KafkaError) {
            while !stop.isRequested, !Task.isCancelled { try await turn() }
            await drain(held)
            abandon(held)
        } catch {
            abandon(held)
            throw error
        }
    }

    private mutating func turn() async throws(KafkaError) {
        health.beat(Self.loopName, limit: .seconds(120))
        try await subscribe()
        try settle()
        let isFull = desk.ledger.bytes >= parts.limits.bufferedBytesMax
        startJobs(isForced: isFull)
        try await balance(isFull: isFull)
        await keepHouse()
        let isBusy = !running.isEmpty || desk.ledger.bytes > 0
        let records = try await consumer.poll(timeout: isBusy ? Self.busyPoll : Self.idlePoll)
        try await take(records)
        try wait.check(now: .now, limit: parts.limits.joinMax)
    }

    /// Joins the group for what is there: topics are made by the first queue that needs them.
    private mutating func subscribe() async throws(KafkaError) {
        guard subscribed.count < topics.count else { return }
        if let lookedForTopics, .now - lookedForTopics < Self.topicsPause { return }
        lookedForTopics = .now
        var known: [String] = []
        do throws(KafkaError) {
            for topic in topics where try await control.exists(topic) { known.append(topic) }
        } catch {
            // Without the broker nothing else comes either.
            return parts.observe(.readFailed(error))
        }
        health.setReady("kafka")
        guard known.count > subscribed.count else { return }
        try await consumer.subscribe(to: known)
        subscribed = known
        wait.joined(at: .now)
    }

    // MARK: Jobs

    private mutating func settle() throws(KafkaError) {
        for (job, result) in mailbox.take() {
            running[ObjectIdentifier(job.ticket)] = nil
            guard desk.settle(result, of: job, now: .now) else {
                throw KafkaError(
                    .other, operation: "store \(job.tag.name.rawValue)",
                    detail: "what became of a batch is not known: its partition is read anew",
                    isRetriable: true)
            }
        }
    }

    private mutating func startJobs(isForced: Bool, of partitions: Set<TopicPartition>? = nil) {
        let room = parts.limits.writesMax - running.count
        for job in desk.takeJobs(room, now: .now, isForced: isForced, of: partitions) {
            running[ObjectIdentifier(job.ticket)] = job
            start(job)
        }
    }

    // MARK: Room and upkeep

    private mutating func balance(isFull: Bool) async throws(KafkaError) {
        if isFull, !isPaused, !held.isEmpty {
            try await consumer.pause(Array(held))
            isPaused = true
            parts.observe(.held(isHeld: true))
        } else if isPaused, desk.ledger.bytes <= parts.limits.bufferedBytesMax / 2 {
            try await consumer.resume(Array(held))
            isPaused = false
            parts.observe(.held(isHeld: false))
        }
    }

    private mutating func keepHouse() async {
        let now = ContinuousClock.now
        guard now - housekept >= parts.limits.commitInterval else { return }
        housekept = now
        for (tag, progress) in desk.takeReports(now: now) { await runner.report(progress, of: tag) }
        desk.evict(now: now)
        parts.observe(.holding(streams: desk.streamCount, bytes: desk.ledger.bytes))
        await commit(held)
    }

    /// A commit that fails is made again with the next; only who reads on in our place reads more for it.
    private mutating func commit(_ partitions: Set<TopicPartition>) async {
        var positions: [TopicPartition: Int64] = [:]
        for partition in partitions {
            guard let position = desk.ledger.committable(partition), position != committed[partition] else {
                continue
            }
            positions[partition] = position
        }
        guard !positions.isEmpty else { return }
        parts.crashPoints.reach(.beforePositionCommit)
        do throws(KafkaError) {
            try await consumer.commit(positions)
            committed.merge(positions) { $1 }
        } catch {
            parts.observe(.commitFailed(error))
        }
        parts.crashPoints.reach(.afterPositionCommit)
    }

    // MARK: Records

    private mutating func take(_ records: ConsumedRecords) async throws(KafkaError) {
        let (now, stopped) = (ContinuousClock.now, control.stopped)
        var skipped = 0
        for record in records {
            switch desk.add(record, now: now, stopped: stopped) {
            case .gathered: break
            case .skipped: skipped += 1
            case .unreadable(let reason): try await refuse(record, reason)
            }
        }
        if skipped > 0 { parts.observe(.skipped(records: skipped)) }
        for event in records.events { try await apply(event) }
    }

    /// To the dead letters: few, so that each is waited for.
    private func refuse(_ record: ConsumedRecord, _ reason: String) async throws(KafkaError) {
        let partition = record.topicPartition
        parts.observe(.unreadable(partition, offset: record.offset, reason: reason))
        var letters = RecordBatch()
        DeadLetter(partition: partition).append(record, reason: reason, to: &letters)
        let producer = parts.producer.current
        do throws(KafkaError) {
            _ = try await producer.send(
                letters, to: DerivedName.deadLetterTopic(dataTopic: partition.topic))
        } catch {
            await parts.producer.renew(producer, after: error)
            throw error
        }
    }

    private mutating func apply(_ event: ConsumerEvent) async throws(KafkaError) {
        switch event {
        case .rebalanced(.assigned(let partitions)):
            wait.answered()
            try await begin(partitions)
            held.formUnion(partitions)
            partitionsChanged()
        case .rebalanced(.revoked(let partitions)):
            await drain(Set(partitions))
            abandon(partitions)
            partitionsChanged()
        case .rebalanced(.lost(let partitions)):
            abandon(partitions)
            partitionsChanged()
        case .endReached(let partition, let offset): desk.reachedEnd(of: partition, offset: offset)
        case .partitionFailed(_, let error): parts.observe(.readFailed(error))
        case .failed(let error):
            parts.observe(.readFailed(error))
            if error.isFatal { throw error }
        }
    }

    private mutating func partitionsChanged() {
        // None of those that came is paused.
        isPaused = false
        health.setReady("kafka")
        parts.observe(.partitionsChanged(held: held.count))
    }

    /// Positions are given by number: a reader that knows where it began sees what a broker holds back.
    private func begin(_ partitions: [TopicPartition]) async throws(KafkaError) {
        var positions: [TopicPartition: KafkaPosition] = [:]
        for (partition, position) in try await consumer.committed(partitions) {
            let low = try await consumer.watermarks(of: partition).low
            positions[partition] = .offset(max(position ?? low, low))
        }
        await consumer.start(at: positions)
    }

    // MARK: Leaving

    /// Stores what is in hand of these partitions and commits it, as far as that is possible in time.
    private mutating func drain(_ partitions: Set<TopicPartition>) async {
        let deadline = ContinuousClock.now + parts.limits.drainMax
        var isWhole = true
        while partitions.contains(where: { desk.ledger.isOpen($0) }) {
            guard ContinuousClock.now < deadline, !Task.isCancelled, (try? settle()) != nil else {
                isWhole = false
                break
            }
            startJobs(isForced: true, of: partitions)
            try? await Task.sleep(for: Self.drainPause)
        }
        await commit(partitions)
        parts.observe(.drained(isWhole: isWhole))
    }

    private mutating func abandon(_ partitions: some Collection<TopicPartition>) {
        desk.forget(partitions)
        held.subtract(partitions)
        for partition in partitions { committed[partition] = nil }
    }
}
