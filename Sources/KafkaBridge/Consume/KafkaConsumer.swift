internal import CRdkafka
import Dispatch
import ServiceRuntime

/// Reads partitions, either those assigned by hand or those a group shares out.
///
/// Nothing is committed by itself. Memory is bounded by the prefetch limit plus what a poll's caller holds.
package actor KafkaConsumer {
    private let executor: QueueExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private var handle: ClientHandle?
    private let group: String?
    private var isSubscribed = false
    /// Told to the caller by the last poll, carried out by the next one.
    private var announced: [KafkaRebalance] = []
    private var startPositions: [TopicPartition: KafkaPosition] = [:]
    private var assigned: Set<TopicPartition> = []
    var pausedByCaller: Set<TopicPartition> = []
    private var told = ToldEnds()
    private var rereads: RereadGuard
    private var toReread: Set<TopicPartition> = []
    private let prefetchBytesMax: Int
    private var takenSinceWake = (records: 0, bytes: 0)

    /// Starts the client; it connects by itself in the background.
    package init(
        _ connection: KafkaConnection, _ configuration: KafkaConsumerConfiguration = .init(),
        observe: @escaping KafkaObserver = { _ in }
    ) throws(KafkaError) {
        executor = QueueExecutor(label: "kafka-consumer")
        group = configuration.group
        prefetchBytesMax = configuration.prefetchBytesMax
        rereads = RereadGuard(
            isOn: connection.rereadsAborted && configuration.isolation == .readCommitted)
        let core = try ClientCore(
            RD_KAFKA_CONSUMER, settings: configuration.settings(connection), overrides: connection.overrides,
            label: "kafka-consumer-end", brake: configuration.brake, observe: observe)
        handle = ClientHandle(core)
    }

    /// Reads exactly these partitions from now on; records fetched for an earlier assignment are forgotten.
    ///
    /// - Parameter timeout: how long to look up each partition's beginning, end or time.
    /// - Throws: `unknownTopic`; `timedOut` when no broker answers.
    package func assign(
        _ positions: [TopicPartition: KafkaPosition], timeout: Duration = .seconds(10)
    ) throws(KafkaError) {
        let core = try openHandle(for: "assign partitions").core
        guard !isSubscribed else {
            throw KafkaError(
                .invalidState, operation: "assign partitions", detail: "the consumer is in a group")
        }
        let offsets = try rawOffsets(positions, core, timeout)
        let list = PartitionList(offsets)
        let result = list.withPointer { rd_kafka_assign(core.client, positions.isEmpty ? nil : $0) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw core.error(result, operation: "assign partitions")
        }
        pausedByCaller = []
        rereads.assigned(offsets)
        assignmentChanged([])
        assignmentChanged(Set(positions.keys))
    }

    private func assignmentChanged(_ partitions: Set<TopicPartition>) {
        told.assignmentChanged(from: assigned, to: partitions)
        assigned = partitions
        pausedByCaller.formIntersection(partitions)
    }

    /// Joins the group; its partitions come with the polls as ``ConsumerEvent/rebalanced(_:)``.
    package func subscribe(to topics: [String]) throws(KafkaError) {
        let core = try openHandle(for: "subscribe").core
        guard group != nil else {
            throw KafkaError(.invalidState, operation: "subscribe", detail: "no group is configured")
        }
        let list = PartitionList(topics.map { TopicPartition($0, RD_KAFKA_PARTITION_UA) })
        let result = list.withPointer { rd_kafka_subscribe(core.client, $0) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw core.error(result, operation: "subscribe") }
        isSubscribed = true
    }

    /// Gives the next records, at once when some are there, else waits for the first.
    ///
    /// In a group, a rebalance told by one poll is carried out by the next: in between, finish and commit
    /// what was read of revoked partitions, and choose where assigned ones begin (``start(at:)``). So keep
    /// polling, also while everything is paused.
    ///
    /// - Parameters:
    ///   - recordsMax: at most this many at once.
    ///   - timeout: after it an empty result comes.
    /// - Throws: `closed`, `cancelled`; what librdkafka itself recovers from comes as events.
    package func poll(
        recordsMax: Int = 1_000, timeout: Duration = .seconds(1)
    ) async throws(KafkaError) -> ConsumedRecords {
        precondition(recordsMax > 0, "a poll for no records")
        try carryOutRebalances()
        let deadline = DispatchTime.now() + .milliseconds(Int(timeout.milliseconds))
        var isLastLook = false
        while true {
            let handle = try openHandle(for: "poll")
            let records = take(recordsMax, handle)
            startRereads(handle.core)
            if isLastLook || !records.isEmpty || !records.events.isEmpty { return records }
            switch await handle.core.activity.wait(until: deadline) {
            case .signalled: continue
            case .timedOut: isLastLook = true
            case .cancelled: throw KafkaError(RD_KAFKA_RESP_ERR__INTR, operation: "poll", detail: "cancelled")
            }
        }
    }

    private func startRereads(_ core: ClientCore) {
        for partition in toReread { core.seekToBeginning(partition) }
        toReread = []
    }

    /// Overrides where partitions of the announced assignment begin, e.g. at positions kept with the sink's
    /// data.
    package func start(at positions: [TopicPartition: KafkaPosition]) {
        startPositions.merge(positions) { _, new in new }
    }

    /// Leaves the group (a member with an instance id keeps its place) and ends the client.
    ///
    /// Waits at most `timeout` for the end, and not at all while records are still held: the client then ends
    /// in the background when they are gone.
    package func close(timeout: Duration = .seconds(10)) async {
        guard let core = handle?.core else { return }
        if isSubscribed {
            core.rebalances.close()
            // Serves the last revocation itself and returns when the group was left or could not be reached.
            rd_kafka_consumer_close(core.client)
        }
        let isHeldByUsAlone = isKnownUniquelyReferenced(&handle)
        handle = nil
        core.activity.fire()
        guard isHeldByUsAlone else { return }
        await core.ended.wait(until: .now() + .milliseconds(Int(timeout.milliseconds)))
    }

    func openHandle(for operation: String) throws(KafkaError) -> ClientHandle {
        guard let handle else {
            throw KafkaError(.closed, operation: operation, detail: "the consumer was closed")
        }
        return handle
    }

    func groupName(for operation: String) throws(KafkaError) -> String {
        guard let group else {
            throw KafkaError(.invalidState, operation: operation, detail: "no group is configured")
        }
        return group
    }

    private func take(_ recordsMax: Int, _ handle: ClientHandle) -> ConsumedRecords {
        var messages = [UnsafeMutablePointer<rd_kafka_message_t>?](
            unsafeUninitializedCapacity: recordsMax
        ) { buffer, count in
            count = crdk_consume(handle.core.events, buffer.baseAddress, recordsMax)
        }
        var records = crdk_partition_messages(&messages, messages.count)
        // A poll's events come behind its records, also where they were told before.
        let lastRead = noteRecords(messages[..<records])
        records -= dropRereads(&messages, records)
        wakeFetchingIfDue(handle.core)
        var events: [ConsumerEvent] = []
        for message in messages[records...] {
            guard let message else { continue }
            let event = ConsumerEvent(message.pointee, core: handle.core)
            rd_kafka_message_destroy(message)
            if case .endReached(let partition, let offset) = event {
                if lastRead[partition].map({ $0 < offset }) ?? true {
                    rereads.wentBack(partition, end: offset)
                }
                if rereads.mustReread(partition, end: offset) {
                    told.recordsCame(from: partition)
                    toReread.insert(partition)
                    continue
                }
                guard told.endCame(partition, offset: offset) else { continue }
            }
            events.append(event)
        }
        messages.removeSubrange(records...)
        for rebalance in handle.core.rebalances.take() {
            announced.append(rebalance)
            events.append(.rebalanced(rebalance))
            handle.core.observe(.rebalanced(rebalance))
        }
        return ConsumedRecords(messages, events: events, handle: handle)
    }

    /// Removes records that were read again; see ``RereadGuard``.
    ///
    /// - Returns: how many of the first `records` messages were removed.
    private func dropRereads(
        _ messages: inout [UnsafeMutablePointer<rd_kafka_message_t>?], _ records: Int
    ) -> Int {
        guard rereads.isOn else { return 0 }
        var kept: [UnsafeMutablePointer<rd_kafka_message_t>?] = []
        for message in messages[..<records] {
            guard let message, let topic = message.pointee.rkt else { continue }
            let partition = TopicPartition(
                String(cString: rd_kafka_topic_name(topic)), message.pointee.partition)
            if rereads.isNew(partition, offset: message.pointee.offset) {
                kept.append(message)
            } else {
                rd_kafka_message_destroy(message)
            }
        }
        messages.replaceSubrange(..<records, with: kept)
        return records - kept.count
    }

    /// Some of every limit's worth of records, so that fetching goes on long before the queue is empty.
    private func wakeFetchingIfDue(_ core: ClientCore) {
        let recordsMax = KafkaConsumerConfiguration.prefetchRecordsMax
        guard takenSinceWake.bytes >= prefetchBytesMax / 8 || takenSinceWake.records >= recordsMax / 8 else {
            return
        }
        takenSinceWake = (0, 0)
        core.wakeFetching(assigned.subtracting(pausedByCaller))
    }

    /// - Returns: the last offset of each partition.
    private func noteRecords(
        _ messages: ArraySlice<UnsafeMutablePointer<rd_kafka_message_t>?>
    ) -> [TopicPartition: Int64] {
        takenSinceWake.records += messages.count
        var lastRead: [TopicPartition: Int64] = [:]
        var last: (topic: OpaquePointer?, partition: Int32, offset: Int64) = (nil, -1, -1)
        func noteEnd() {
            guard let topic = last.topic else { return }
            lastRead[TopicPartition(String(cString: rd_kafka_topic_name(topic)), last.partition)] =
                last.offset
        }
        for message in messages {
            guard let message = message?.pointee, let topic = message.rkt else { continue }
            takenSinceWake.bytes += message.len
            if topic != last.topic || message.partition != last.partition { noteEnd() }
            last = (topic, message.partition, message.offset)
        }
        noteEnd()
        for partition in lastRead.keys { told.recordsCame(from: partition) }
        return lastRead
    }

    private func carryOutRebalances() throws(KafkaError) {
        let core = try openHandle(for: "poll").core
        // One that fails stays and is tried again by the next poll.
        while let rebalance = announced.first {
            // A partition that is paused when it is given up would still be paused when it comes back.
            if case .revoked(let partitions) = rebalance {
                try resumeUnmoved(pausedByCaller.intersection(partitions), core)
            } else if case .lost(let partitions) = rebalance {
                try resumeUnmoved(pausedByCaller.intersection(partitions), core)
            }
            switch rebalance {
            case .assigned(let partitions):
                let chosen = partitions.map { ($0, startPositions[$0] ?? .committed) }
                let positions = Dictionary(chosen) { first, _ in first }
                let offsets = try rawOffsets(positions, core, .seconds(10))
                let list = PartitionList(offsets)
                try RebalanceAct.assign(list, core)
                rereads.forget(partitions)
                rereads.began(offsets)
                for partition in partitions { startPositions[partition] = nil }
                assignmentChanged(assigned.union(partitions))
            case .revoked(let partitions), .lost(let partitions):
                try RebalanceAct.unassign(PartitionList(partitions), core)
                rereads.forget(partitions)
                assignmentChanged(assigned.subtracting(partitions))
            }
            announced.removeFirst()
        }
    }

    private func resumeUnmoved(_ partitions: Set<TopicPartition>, _ core: ClientCore) throws(KafkaError) {
        let unmoved = partitions.map { ($0, Int64?.none) }
        try core.resume(Dictionary(unmoved) { first, _ in first })
    }

    /// librdkafka's form of positions: offsets, looked up where they have to be.
    ///
    /// librdkafka's own look-up of a beginning or end waits half a second when the leader is not known yet;
    /// ours goes on as soon as it is.
    private func rawOffsets(
        _ positions: [TopicPartition: KafkaPosition], _ core: ClientCore, _ timeout: Duration
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        let deadline = ContinuousClock.now + timeout
        let operation = "look up where to begin"
        var offsets: [TopicPartition: Int64] = [:]
        var times: [TopicPartition: Int64] = [:]
        var beginnings: Set<TopicPartition> = []
        var ends: Set<TopicPartition> = []
        for (partition, position) in positions {
            switch position {
            case .beginning: beginnings.insert(partition)
            case .end: ends.insert(partition)
            case .offset(let offset): offsets[partition] = offset
            case .committed: offsets[partition] = Int64(RD_KAFKA_OFFSET_STORED)
            case .time(let milliseconds): times[partition] = milliseconds
            }
        }
        if !times.isEmpty {
            for (partition, offset) in try core.offsets(
                forTimes: times, isMade: true, operation: operation, until: deadline)
            {
                offsets[partition] = offset
                // After the last record.
                if offset == nil { ends.insert(partition) }
            }
        }
        for (edge, asked) in [(ClientCore.Edge.beginning, beginnings), (.end, ends)] where !asked.isEmpty {
            let found = try core.offsets(
                of: asked, at: edge, isMade: true, operation: operation, until: deadline)
            offsets.merge(found) { $1 }
        }
        return offsets
    }
}

extension ConsumerEvent {
    init(_ message: rd_kafka_message_t, core: ClientCore) {
        let words = message.payload.map { payload in
            String(decoding: UnsafeRawBufferPointer(start: payload, count: message.len), as: UTF8.self)
        }
        guard let topic = message.rkt else {
            self = .failed(core.error(message.err, operation: "read", detail: words))
            return
        }
        let partition = TopicPartition(String(cString: rd_kafka_topic_name(topic)), message.partition)
        if message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF {
            self = .endReached(partition, offset: message.offset)
        } else {
            self = .partitionFailed(
                partition, core.error(message.err, operation: "read \(partition)", detail: words))
        }
    }
}
