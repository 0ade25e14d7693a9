import KafkaBridge
import RecordChecks
import Workflow

/// Sorts the records of shared topics into their streams, and says what is to be done for each: no I/O.
///
/// Bounded by what its owner puts in (``ledger``), and by ``SharedLimits/streamsMax`` in streams that are idle.
struct StreamDesk {
    enum Added: Equatable {
        case gathered
        /// Its attempt is over.
        case skipped
        /// Nobody can tell whose it is.
        case unreadable(reason: String)
    }

    /// What an idle or a busy stream needs to be known by.
    private struct Stream {
        let tag: StreamTag
        /// nil until it is known how far the stream is.
        var builder: BatchBuilder?
        var progress = StreamProgress()
        /// Read before the builder is there, or after its batch was full or ended.
        var waiting: [ConsumedRecord] = []
        /// Of the job under way.
        var ticket: JobTicket?
        /// Since when something of it is gathered.
        var oldest: ContinuousClock.Instant
        var touched: ContinuousClock.Instant
        var reported: ContinuousClock.Instant?
    }

    private let limits: SharedLimits
    private(set) var ledger = StreamLedger()
    private var streams: [StreamLedger.Key: Stream] = [:]
    /// Streams with something gathered and no job.
    private var ready: Set<StreamLedger.Key> = []
    private var toReport: Set<StreamLedger.Key> = []
    private var closed: ClosedStreams

    init(limits: SharedLimits) {
        self.limits = limits
        closed = ClosedStreams(limit: limits.closedMax)
    }

    var streamCount: Int { streams.count }

    // MARK: Records

    mutating func add(
        _ record: ConsumedRecord, now: ContinuousClock.Instant, stopped: StoppedAttempts
    ) -> Added {
        let key = StreamLedger.Key(
            partition: record.topicPartition, identity: StreamTag.identity(of: record))
        ledger.read(key.partition, upTo: record.offset + 1)
        if closed.contains(key) { return .skipped }
        let tag: StreamTag
        do throws(UnreadableTag) {
            if let known = streams[key] { tag = known.tag } else { tag = try StreamTag(record) }
        } catch {
            return .unreadable(reason: error.reason)
        }
        if stopped.contain(tag.queueID, tag.id, attempt: tag.attempt) {
            close(key)
            return .skipped
        }
        let isIdle = !ready.contains(key) && streams[key]?.ticket == nil
        if streams[key] == nil { streams[key] = Stream(tag: tag, oldest: now, touched: now) }
        if isIdle { streams[key]?.oldest = now }
        ledger.gather(key, offset: record.offset, bytes: Self.size(of: record))
        gather(record, key, now)
        return .gathered
    }

    private mutating func gather(
        _ record: ConsumedRecord, _ key: StreamLedger.Key, _ now: ContinuousClock.Instant
    ) {
        streams[key]?.touched = now
        let mayAdd =
            streams[key].map { $0.waiting.isEmpty && $0.builder.map { $0.batch.ending == nil } ?? false }
            ?? false
        if !mayAdd || streams[key]?.builder?.add(record) != true { streams[key]?.waiting.append(record) }
        if streams[key]?.ticket == nil { ready.insert(key) }
    }

    private static func size(of record: ConsumedRecord) -> Int {
        record.valueBytes + SharedLimits.recordOverheadBytes
    }

    mutating func reachedEnd(of partition: TopicPartition, offset: Int64) {
        ledger.read(partition, upTo: offset)
    }

    // MARK: Jobs

    /// Takes jobs that are due, those of the streams that wait longest first.
    ///
    /// - Parameters:
    ///   - isForced: whatever is gathered, however young; for room, or at the end.
    ///   - partitions: only of these; nil: of all.
    mutating func takeJobs(
        _ count: Int, now: ContinuousClock.Instant, isForced: Bool, of partitions: Set<TopicPartition>? = nil
    ) -> [StreamJob] {
        guard count > 0, !ready.isEmpty else { return [] }
        let due = ready.filter { key in
            (partitions?.contains(key.partition) ?? true) && isDue(key, now, isForced)
        }.sorted { (streams[$0]?.oldest ?? now) < (streams[$1]?.oldest ?? now) }
        var jobs: [StreamJob] = []
        for key in due {
            guard jobs.count < count else { break }
            if let job = takeJob(key, now) { jobs.append(job) }
        }
        return jobs
    }

    private func isDue(_ key: StreamLedger.Key, _ now: ContinuousClock.Instant, _ isForced: Bool) -> Bool {
        guard let stream = streams[key], stream.ticket == nil else { return false }
        guard let builder = stream.builder, !isForced else { return true }
        return builder.isFull || builder.batch.ending != nil || !stream.waiting.isEmpty
            || now - stream.oldest >= limits.stream.batchWait
    }

    private mutating func takeJob(_ key: StreamLedger.Key, _ now: ContinuousClock.Instant) -> StreamJob? {
        guard var stream = streams[key] else { return nil }
        ready.remove(key)
        let ticket = JobTicket()
        let end = ledger.committable(key.partition) ?? 0
        guard var builder = stream.builder else {
            stream.ticket = ticket
            streams[key] = stream
            let first = stream.waiting.first?.offset ?? end
            return StreamJob(key: key, tag: stream.tag, work: .claim, endOffset: first, ticket: ticket)
        }
        let batch = builder.take()
        stream.builder = builder
        let rest = stream.waiting
        ledger.take(
            key, rest: rest.first?.offset, restRecords: rest.count,
            restBytes: rest.reduce(0) { $0 + Self.size(of: $1) })
        guard !batch.isEmpty || batch.ending != nil else {
            // Nothing but repeats.
            streams[key] = stream
            ledger.settle(key)
            refill(key, now)
            return nil
        }
        stream.ticket = ticket
        streams[key] = stream
        return StreamJob(
            key: key, tag: stream.tag, work: .store(batch, stream.progress), endOffset: batch.nextOffset,
            ticket: ticket)
    }

    /// Takes in what came of a job.
    ///
    /// - Returns: false when what it had in hand is lost to us: the partitions have to be read anew.
    mutating func settle(
        _ result: StreamJob.Result, of job: StreamJob, now: ContinuousClock.Instant
    ) -> Bool {
        // Its partition went, or the attempt was stopped.
        guard streams[job.key]?.ticket === job.ticket else { return true }
        streams[job.key]?.ticket = nil
        switch result {
        case .claimed(let progress):
            let partition = job.key.partition
            streams[job.key]?.progress = progress
            streams[job.key]?.builder = BatchBuilder(
                partition: partition,
                reader: RecordReader(symbol: job.tag.symbol, interval: job.tag.interval),
                limits: limits.stream, after: progress)
            refill(job.key, now)
        case .stored(let progress):
            streams[job.key]?.progress = progress
            toReport.insert(job.key)
            ledger.settle(job.key)
            refill(job.key, now)
        case .closed: close(job.key)
        case .abandoned: return false
        }
        return true
    }

    /// Puts what waits into the next batch, as far as it fits.
    private mutating func refill(_ key: StreamLedger.Key, _ now: ContinuousClock.Instant) {
        guard var stream = streams[key], var builder = stream.builder else { return }
        var taken = 0
        for record in stream.waiting {
            guard builder.batch.ending == nil, builder.add(record) else { break }
            taken += 1
        }
        stream.waiting.removeFirst(taken)
        stream.oldest = now
        let isReady = ledger.isGathered(key)
        stream.builder = builder
        streams[key] = stream
        if isReady { ready.insert(key) }
    }

    // MARK: Ends

    /// What comes of a stream from now on is skipped.
    private mutating func close(_ key: StreamLedger.Key) {
        closed.insert(key)
        remove(key)
    }

    private mutating func remove(_ key: StreamLedger.Key) {
        streams.removeValue(forKey: key)?.ticket?.abandon()
        ready.remove(key)
        toReport.remove(key)
        ledger.drop(key)
    }

    /// Partitions that belong to others now; jobs under way are given up.
    mutating func forget(_ partitions: some Collection<TopicPartition>) {
        let gone = Set(partitions)
        for key in streams.keys where gone.contains(key.partition) { remove(key) }
        for partition in gone { ledger.forget(partition) }
    }

    /// Drops streams of which nothing came for a while, the most idle first where there are too many.
    mutating func evict(now: ContinuousClock.Instant) {
        let idle = streams.filter { key, stream in
            stream.ticket == nil && !ready.contains(key) && !toReport.contains(key)
        }
        for (key, stream) in idle where now - stream.touched >= limits.idleMax { remove(key) }
        let excess = streams.count - limits.streamsMax
        guard excess > 0 else { return }
        let oldest = idle.filter { streams[$0.key] != nil }.sorted { $0.value.touched < $1.value.touched }
        for (key, _) in oldest.prefix(excess) { remove(key) }
    }

    /// Progress that is worth telling now.
    mutating func takeReports(now: ContinuousClock.Instant) -> [(StreamTag, StreamProgress)] {
        var reports: [(StreamTag, StreamProgress)] = []
        for key in toReport {
            guard let stream = streams[key] else { continue }
            if let last = stream.reported, now - last < limits.reportInterval { continue }
            streams[key]?.reported = now
            toReport.remove(key)
            reports.append((stream.tag, stream.progress))
        }
        return reports
    }
}

/// Streams that are over, as many as there is room for.
struct ClosedStreams {
    private let limit: Int
    private var keys: Set<StreamLedger.Key> = []
    /// Oldest first.
    private var order: [StreamLedger.Key] = []
    private var first = 0

    init(limit: Int) { self.limit = limit }

    func contains(_ key: StreamLedger.Key) -> Bool { keys.contains(key) }

    mutating func insert(_ key: StreamLedger.Key) {
        guard keys.insert(key).inserted else { return }
        order.append(key)
        guard keys.count > limit else { return }
        keys.remove(order[first])
        first += 1
        // Moved together now and then instead of at each step.
        if first > limit {
            order.removeFirst(first)
            first = 0
        }
    }
}
