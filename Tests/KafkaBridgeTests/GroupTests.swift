import KafkaBridge
import TestSupport
import Testing

/// Group membership at the broker: the strategies that every broker of ours does right.
@Suite(.broker, .serialized, .timeLimit(.minutes(2)))
struct GroupTests {
    @Test(arguments: [KafkaConsumerConfiguration.AssignmentStrategy.range, .roundRobin])
    func `members share the partitions and take over those of one that leaves`(
        strategy: KafkaConsumerConfiguration.AssignmentStrategy
    ) async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection, partitions: 4)
        try await exerciseSharing(topic, GroupMember.Place(connection, topic, strategy))
    }

    @Test func `a member begins where its owner says instead of at the commit`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(10), to: topic, partition: 0)
        try await producer.close()
        var member = try await GroupMember(GroupMember.Place(connection, topic, .range))
        await member.consumer.start(at: [TopicPartition(topic, 0): .offset(7)])
        try await member.poll(until: 1)
        #expect(try await readValues(member.consumer, 3) == ["record-7", "record-8", "record-9"])
        await member.consumer.close()
    }
}

/// Group membership at librdkafka's mock cluster: it knows the cooperative strategy and evicts silent
/// members.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct MockGroupTests {
    @Test func `the cooperative strategy moves partitions without taking the others away`() async throws {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 4)
        try await exerciseSharing("t", GroupMember.Place(cluster.connection, "t", .cooperativeSticky))
    }

    @Test func `a revocation is told before it is carried out, so that the read can be committed`()
        async throws
    {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 4)
        let producer = try KafkaProducer(cluster.connection)
        for partition in 0..<4 {
            _ = try await producer.send(makeBatch(5), to: "t", partition: Int32(partition))
        }
        try await producer.close()
        let place = GroupMember.Place(cluster.connection, "t", .range)
        var first = try await GroupMember(place)
        try await first.poll(until: 4)
        while first.records < 20 { try await first.pollOnce() }
        // Another subscription takes the partitions away in order, without a second member's timing.
        cluster.createTopic("u", partitions: 1)
        try await first.consumer.subscribe(to: ["u"])
        try await first.poll(until: 1)
        #expect(first.revoked == 4)
        #expect(first.positionsAtRevocation.count == 4)
        #expect(first.positionsAtRevocation.values.allSatisfy { $0 == 5 })
        // Kafka takes the commit then; the mock cluster may refuse it, as `rebalanced`.
        #expect([nil, .rebalanced].contains(first.commitAtRevocation?.code))
        await first.consumer.close()
    }

    /// What a poll tells is carried out by the next one, which never comes here.
    @Test(arguments: [KafkaConsumerConfiguration.AssignmentStrategy.range, .cooperativeSticky])
    func `a member can be closed when it was only just told to give partitions up`(
        strategy: KafkaConsumerConfiguration.AssignmentStrategy
    ) async throws {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 4)
        let place = GroupMember.Place(cluster.connection, "t", strategy)
        var first = try await GroupMember(place)
        try await first.poll(until: 4)
        var second = try await GroupMember(place)
        try await GroupMember.poll(&first, &second) { first, _ in first.count < 4 }
        await first.consumer.close()
        try await second.poll(until: 4)
        await second.consumer.close()
    }

    @Test func `a member that fell silent loses its partitions to the others`() async throws {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 4)
        let place = GroupMember.Place(cluster.connection, "t", .range)
        var silent: GroupMember? = try await GroupMember(place)
        try await silent?.poll(until: 4)
        // Dropped without closing: it leaves no group, as a killed process.
        silent = nil
        var heir = try await GroupMember(place)
        try await heir.poll(until: 4)
        #expect(heir.held.count == 4)
        await heir.consumer.close()
    }
}

/// Two members come and one goes; at each time all partitions are held.
private func exerciseSharing(_ topic: String, _ place: GroupMember.Place) async throws {
    let partitions = Set((0..<4).map { TopicPartition(topic, $0) })
    var first = try await GroupMember(place)
    try await first.poll(until: 4)
    #expect(first.held == partitions)
    var second = try await GroupMember(place)
    try await GroupMember.poll(&first, &second) { $0.count == 2 && $1.count == 2 }
    #expect(first.held.union(second.held) == partitions)
    if place.strategy == .cooperativeSticky {
        #expect(first.revoked == 2)
    } else {
        #expect(first.revoked == 4)
    }
    await first.consumer.close()
    try await second.poll(until: 4)
    #expect(second.held == partitions)
    await second.consumer.close()
}

/// A consumer with what the group gave it so far.
struct GroupMember {
    struct Place {
        let connection: KafkaConnection
        let topic: String
        let strategy: KafkaConsumerConfiguration.AssignmentStrategy
        let group = uniqueName("sf-group")

        init(
            _ connection: KafkaConnection, _ topic: String,
            _ strategy: KafkaConsumerConfiguration.AssignmentStrategy
        ) {
            self.connection = connection
            self.topic = topic
            self.strategy = strategy
        }
    }

    let consumer: KafkaConsumer
    var revoked = 0
    var held: Set<TopicPartition> = []
    var records = 0
    var positionsAtRevocation: [TopicPartition: Int64] = [:]
    var commitAtRevocation: KafkaError?

    init(_ place: Place) async throws {
        var configuration = KafkaConsumerConfiguration(group: place.group)
        configuration.strategy = place.strategy
        // The shortest that Kafka allows; a group waits 3 s for its first members.
        configuration.sessionTimeout = .seconds(6)
        consumer = try KafkaConsumer(place.connection, configuration)
        try await consumer.subscribe(to: [place.topic])
    }

    mutating func pollOnce() async throws {
        let polled = try await consumer.poll(timeout: .milliseconds(100))
        records += polled.count
        for case .rebalanced(let rebalance) in polled.events {
            switch rebalance {
            case .assigned(let partitions):
                held.formUnion(partitions)
            case .revoked(let partitions):
                revoked += partitions.count
                try await commitAtFirstRevocation(partitions)
                held.subtract(partitions)
            case .lost(let partitions):
                held.subtract(partitions)
            }
        }
    }

    /// A group may rebalance again before anything was read: only the first one counts.
    private mutating func commitAtFirstRevocation(_ partitions: [TopicPartition]) async throws {
        guard positionsAtRevocation.isEmpty else { return }
        positionsAtRevocation = try await consumer.position(partitions).compactMapValues { $0 }
        do {
            try await consumer.commit(positionsAtRevocation)
        } catch {
            commitAtRevocation = error
        }
    }

    mutating func poll(until count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while held.count != count {
            try #require(ContinuousClock.now < deadline, "\(held.count) partitions held instead of \(count)")
            try await pollOnce()
        }
    }

    static func poll(
        _ first: inout Self, _ second: inout Self,
        until reached: (Set<TopicPartition>, Set<TopicPartition>) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while !reached(first.held, second.held) {
            try #require(ContinuousClock.now < deadline, "\(first.held.count) and \(second.held.count) held")
            try await first.pollOnce()
            try await second.pollOnce()
        }
    }
}
