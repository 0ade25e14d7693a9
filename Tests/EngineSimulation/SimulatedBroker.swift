import QueueManager
import Workflow

/// Topics in memory: queue-control, queue-events and the names of data topics.
///
/// `@unchecked`: lives on the simulation's one thread.
final class SimulatedBroker: @unchecked Sendable {
    static let controlTopic = "queue-control"
    static let eventsTopic = "queue-events"
    static let partitionCount: Int32 = 3

    /// What a broker holds beside our queues' topics: the shared ones, and those of another installation.
    static let foreignTopics = [
        controlTopic, eventsTopic, "sf-pool-dummy-service", "market-candles", "market-candles-dead",
        "wf-other-bbbbb1-data",
        "wf-other-bbbbb1-data-dead",
    ]

    private(set) var control = [[ControlCommand]](repeating: [], count: Int(partitionCount))
    private(set) var events = [[[UInt8]]](repeating: [], count: Int(partitionCount))
    /// The data topics of our queues.
    private(set) var topics: Set<String> = []
    /// Told the topics that somebody deletes.
    var onDelete: ([String]) -> Void = { _ in }
    /// Until then nobody gets an answer.
    private(set) var isAwayUntil: Int64 = 0
    private let world: World

    init(_ world: World) {
        self.world = world
    }

    var isAway: Bool { world.now < isAwayUntil }

    func goAway(for milliseconds: Int64) { isAwayUntil = max(isAwayUntil, world.now + milliseconds) }

    static func partition(of queue: QueueID) -> Int {
        Int(KeyPartition.of(queue.rawValue, count: partitionCount))
    }

    func append(_ event: QueueEvent) -> Int64 {
        let partition = Self.partition(of: event.queueID)
        guard let bytes = try? MessageCodec.encode(event) else { return -1 }
        events[partition].append(bytes)
        return Int64(events[partition].count - 1)
    }

    /// Something that is no event.
    func appendPoison(_ partition: Int) { events[partition].append(Array("{poison".utf8)) }

    private func append(_ command: ControlCommand) {
        control[Self.partition(of: command.queueID)].append(command)
    }

    /// The broker as a replica's engine reaches it.
    func port(for replica: ReplicaRun) -> EngineBroker {
        @Sendable func call<R>(_ name: String, _ body: () -> R) async throws -> R {
            try await replica.reach("broker", name)
            if isAway { throw SimulatedFailure(description: "the broker is away") }
            let result = body()
            try await replica.answer("broker", name)
            return result
        }
        return EngineBroker(
            createTopic: { name, _, _ in
                try await call("create topic") {
                    // Shared topics are there for good.
                    if !Self.foreignTopics.contains(name) { self.topics.insert(name) }
                }
            },
            deleteTopics: { names in
                try await call("delete topics") {
                    self.topics.subtract(names)
                    self.onDelete(names)
                }
            }, topicNames: { try await call("list topics") { Array(self.topics) + Self.foreignTopics } },
            endOffset: { _, partition in
                try await call("end offset") { Int64(self.events[Int(partition)].count) }
            },
            controlEnds: { try await call("control ends") { self.control.map { Int64($0.count) } } },
            send: { command in try await call("send") { self.append(command) } },
            controlTopic: Self.controlTopic, eventsTopic: Self.eventsTopic,
            controlPartitions: Self.partitionCount, eventsPartitions: Self.partitionCount)
    }

    /// queue-events as a replica's reader sees it.
    func source(for replica: ReplicaRun) -> EventSource {
        let places = Places()
        return EventSource(
            assign: { offsets in
                try await replica.reach("broker", "assign")
                places.offsets = offsets
            },
            poll: { recordsMax, _ in
                try await replica.reach("broker", "poll")
                await self.world.wait(every: 20, atMost: 250) { !self.isAway && self.hasNews(for: places) }
                return self.isAway ? [] : self.read(places, recordsMax)
            },
            ends: { partitions in
                try await replica.reach("broker", "ends")
                if self.isAway { throw SimulatedFailure(description: "the broker is away") }
                let ends = partitions.map { ($0, Int64(self.events[Int($0)].count)) }
                try await replica.answer("broker", "ends")
                return Dictionary(uniqueKeysWithValues: ends)
            }, close: {})
    }

    /// Where one reader stands; on the simulation's one thread, like everything here.
    private final class Places: @unchecked Sendable {
        var offsets: [Int32: Int64] = [:]
    }

    private func hasNews(for places: Places) -> Bool {
        places.offsets.contains { $0.value < Int64(events[Int($0.key)].count) }
    }

    private func read(_ places: Places, _ recordsMax: Int) -> [EventSource.Record] {
        // Few at a time, so that backlogs happen.
        var room = min(recordsMax, world.random.pick(1...20))
        var records: [EventSource.Record] = []
        for (partition, offset) in places.offsets.sorted(by: { $0.key < $1.key }) {
            let log = events[Int(partition)]
            let count = min(room, log.count - Int(offset))
            guard count > 0 else { continue }
            for index in Int(offset)..<(Int(offset) + count) {
                records.append(.init(partition: partition, offset: Int64(index), value: log[index]))
            }
            places.offsets[partition] = offset + Int64(count)
            room -= count
        }
        return records
    }
}
