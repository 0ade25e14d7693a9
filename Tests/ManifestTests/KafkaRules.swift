import ArangoConnector
import QueueManager
import ServiceRuntime
import WorkerKit
import Workflow

/// Topics are as the code makes them, users may do what their clients do, and the pool scales within its partitions.
struct KafkaRules {
    let manifests: Manifests

    /// Events are kept at least this long (docs/messages.md).
    private static let retentionMillisecondsMin: Int64 = 7 * 24 * 3_600 * 1_000

    func problems() throws -> [String] {
        topics() + scaling() + (try users())
    }

    private var manager: [String: String] {
        manifests.first("Deployment", "queue-manager")?.containers.first
            .map { ContainerEnvironment($0, manifests).values } ?? [:]
    }

    private func told(_ setting: any AnySetting) -> String {
        manager[setting.name] ?? setting.defaultText ?? ""
    }

    private var pooled: [Target] {
        told(QueueManagerSettings.poolTargets).split(separator: ",").compactMap { Target(name: String($0)) }
    }

    /// Where queues with a shared transport write to.
    private var shared: [String] { [told(SharedTopicSettings.candles), told(SharedTopicSettings.trades)] }

    // MARK: Topics

    private func topics() -> [String] {
        let all = manifests.all("KafkaTopic")
        guard !all.isEmpty else { return [] }
        var wanted = [
            told(TopicSettings.control): told(QueueManagerSettings.topicPartitions),
            told(TopicSettings.events): told(QueueManagerSettings.topicPartitions),
        ]
        for topic in shared {
            wanted[topic] = told(QueueManagerSettings.sharedPartitions)
            wanted[DerivedName.deadLetterTopic(dataTopic: topic)] = "1"
        }
        for target in pooled {
            wanted[DerivedName.poolTopic(target)] = told(QueueManagerSettings.poolPartitions)
        }
        var problems = Set(wanted.keys).subtracting(all.map(\.name)).sorted().map {
            "there is no KafkaTopic \($0)"
        }
        for topic in all {
            guard let partitions = wanted[topic.name] else {
                problems.append("\(topic.title) is no topic of the code's")
                continue
            }
            if topic["spec", "partitions"]?.integer.map(String.init) != partitions {
                problems.append("\(topic.title) has not \(partitions) partitions")
            }
            if (topic["spec", "config", "retention.ms"]?.integer ?? 0) < Self.retentionMillisecondsMin {
                problems.append("\(topic.title) keeps records for less than 7 days")
            }
            if topic["spec", "replicas"]?.integer.map(String.init)
                != manager[QueueManagerSettings.topicReplication.name]
            {
                problems.append("\(topic.title) has not TOPIC_REPLICATION replicas")
            }
        }
        return problems
    }

    // MARK: Scaling

    private func scaling() -> [String] {
        manifests.all("ScaledObject").flatMap { scaler in
            var problems: [String] = []
            let target = scaler["spec", "scaleTargetRef", "name"]?.string ?? ""
            guard let workload = manifests.first("Deployment", target) else {
                return ["\(scaler.title) scales \(target), which is not there"]
            }
            if workload["spec", "replicas"] != nil {
                problems.append("\(workload.title) has replicas, which undo what \(scaler.title) decides")
            }
            let isConnector = target == SharedConnectorProgram.name
            let partitions =
                Int64(
                    told(
                        isConnector
                            ? QueueManagerSettings.sharedPartitions : QueueManagerSettings.poolPartitions))
                ?? 0
            if (scaler["spec", "maxReplicaCount"]?.integer ?? 100) > partitions {
                problems.append("\(scaler.title): maxReplicaCount is above the \(partitions) partitions")
            }
            if isConnector {
                return problems + lagTriggers(scaler["spec", "triggers"]?.items ?? [], scaler.title)
            }
            let environment =
                workload.containers.first.map { ContainerEnvironment($0, manifests).values } ?? [:]
            if environment[PoolSettings.targets.name] != told(QueueManagerSettings.poolTargets) {
                problems.append("POOL_TARGETS of the pool and of the queue-manager differ")
            }
            let slots = environment[PoolSettings.slots.name] ?? PoolSettings.slots.defaultText ?? ""
            for trigger in scaler["spec", "triggers"]?.items ?? [] {
                problems += self.trigger(trigger, slots: slots).map { "\(scaler.title): \($0)" }
            }
            return problems
        }
    }

    /// One a shared topic, each of the connectors' group.
    private func lagTriggers(_ triggers: [JSONValue], _ title: String) -> [String] {
        let data = triggers.map { $0["metadata"]?.texts ?? [:] }
        var problems: [String] = []
        for topic in shared where !data.contains(where: { $0["topic"] == topic }) {
            problems.append("\(title): nothing scales on the lag of \(topic)")
        }
        for (trigger, data) in zip(triggers, data) {
            if trigger["type"]?.string != "kafka" { problems.append("\(title): it scales on other than lag") }
            if data["consumerGroup"] != DerivedName.connectorGroup {
                problems.append("\(title): its consumerGroup is not the connectors'")
            }
            if data["bootstrapServers"] != manager[KafkaSettings.bootstrapServers.name] {
                problems.append("\(title): its bootstrapServers are others than the programs'")
            }
            let login = trigger["authenticationRef", "name"]?.string ?? ""
            if manifests.first("TriggerAuthentication", login) == nil {
                problems.append("\(title): there is no TriggerAuthentication \(login)")
            }
        }
        return problems
    }

    private func trigger(_ trigger: JSONValue, slots: String) -> [String] {
        let data = trigger["metadata"]?.texts ?? [:]
        var problems: [String] = []
        if let name = trigger["authenticationRef", "name"]?.string,
            manifests.first("TriggerAuthentication", name) == nil
        {
            problems.append("there is no TriggerAuthentication \(name)")
        }
        switch trigger["type"]?.string {
        case "prometheus":
            if data["threshold"] != slots { problems.append("threshold is not POOL_SLOTS, \(slots)") }
            let query = data["query"] ?? ""
            for target in pooled where !query.contains("target=\"\(target.rawValue)\"") {
                problems.append("its query does not count \(target.rawValue)")
            }
        case "kafka":
            if data["lagThreshold"] != slots { problems.append("lagThreshold is not POOL_SLOTS, \(slots)") }
            let topics = pooled.map { DerivedName.poolTopic($0) }
            if !topics.contains(data["topic"] ?? "") { problems.append("its topic is no pool's") }
            if data["consumerGroup"] != data["topic"].map({ DerivedName.poolGroup(topic: $0) }) {
                problems.append("its consumerGroup is not the pool's")
            }
            if data["bootstrapServers"] != manager[KafkaSettings.bootstrapServers.name] {
                problems.append("its bootstrapServers are others than the programs'")
            }
        default: problems.append("what it scales on is not known here")
        }
        return problems
    }

    // MARK: Users

    private func users() throws -> [String] {
        let all = manifests.all("KafkaUser")
        guard !all.isEmpty else { return [] }
        let needs = try KafkaNeed.byUser(
            control: told(TopicSettings.control), events: told(TopicSettings.events), pooled: pooled,
            shared: shared)
        var problems = Set(needs.keys).symmetricDifference(all.map(\.name)).sorted()
            .map { "KafkaUser \($0) is not on both sides" }
        for user in all {
            let lists = KafkaACL.all(of: user)
            for need in needs[user.name] ?? [] where !lists.contains(where: { $0.covers(need) }) {
                problems.append("\(user.title) may not \(need)")
            }
            for list in lists where !(needs[user.name] ?? []).contains(where: list.covers) {
                problems.append("\(user.title) may \(list), which no client of its asks for")
            }
        }
        return problems + logins(all)
    }

    /// The users that programs log in as are there.
    private func logins(_ users: [JSONValue]) -> [String] {
        let name = KafkaSettings.user.name
        let maps = manifests.all("ConfigMap").compactMap { $0["data", name]?.string }
        let pods = manifests.workloads.flatMap(\.containers)
            .compactMap { ContainerEnvironment($0, manifests).values[name] }
        return Set(maps + pods).subtracting(users.map(\.name)).sorted()
            .map { "\(name) is \($0), and there is no such KafkaUser" }
    }
}

/// One operation on one resource.
struct KafkaNeed: Hashable, CustomStringConvertible {
    var type: String
    var name: String
    var operation: String

    var description: String { "\(operation) \(type) \(name)" }

    /// What the clients of each user ask the broker for; names are made as the programs make them.
    static func byUser(
        control: String, events: String, pooled: [Target], shared: [String]
    ) throws -> [String: Set<KafkaNeed>] {
        let sharedLetters = shared.map { DerivedName.deadLetterTopic(dataTopic: $0) }
        let names = try QueueNames()
        let offers = pooled.map { DerivedName.poolTopic($0) }
        let reader = needs("group", ["sf-reader"], "Describe")
        // Every producer of ours is idempotent.
        let producer = needs("cluster", [""], "IdempotentWrite")
        let worker =
            needs("topic", [control], "Describe", "Read") + needs("topic", [events], "Describe", "Write")
        var users: [String: [KafkaNeed]] = [:]
        users["streamforge-queue-manager"] =
            needs("topic", [control], "Create", "Describe", "Write")
            + needs("topic", [events], "Create", "Describe", "Read")
            + needs("topic", names.data + names.letters, "Create", "Delete", "Describe")
            + needs("topic", names.letters, "Read") + needs("topic", offers, "Create", "Describe", "Write")
            + needs("group", offers.map { DerivedName.poolGroup(topic: $0) }, "Describe") + reader + producer
            + needs("topic", shared + sharedLetters, "Create", "Describe")
            + needs("topic", sharedLetters, "Read")
        users["streamforge-connector"] =
            worker + needs("topic", shared, "Describe", "Read")
            + needs("topic", sharedLetters, "Describe", "Write")
            + needs("group", [DerivedName.connectorGroup], "Read") + reader + producer
        users["streamforge-worker"] =
            worker + needs("topic", shared, "Describe", "Write")
            + needs("topic", names.data, "Describe", "Read", "Write")
            + needs("topic", names.letters, "Describe", "Write")
            + needs("transactionalId", [names.transactionalID], "Describe", "Write")
            + needs("group", [names.group], "Read") + reader + producer
        users["streamforge-pool"] =
            worker + needs("topic", offers, "Describe", "Read")
            + needs("group", offers.map { DerivedName.poolGroup(topic: $0) }, "Read") + reader + producer
        users["streamforge-keda"] =
            needs("topic", offers + shared, "Describe")
            + needs(
                "group", offers.map { DerivedName.poolGroup(topic: $0) } + [DerivedName.connectorGroup],
                "Describe")
        return users.mapValues(Set.init)
    }

    private static func needs(_ type: String, _ names: [String], _ operations: String...) -> [KafkaNeed] {
        names.flatMap { name in operations.map { KafkaNeed(type: type, name: name, operation: $0) } }
    }
}

/// What a queue's topics, groups and producers are called.
private struct QueueNames {
    struct NoName: Error {}

    let data: [String]
    let letters: [String]
    let transactionalID: String
    let group: String

    init() throws {
        guard let queue = QueueID("wf-btcusdt-api_candles_1m-20240801-abc123"), let step = StepID("load")
        else { throw NoName() }
        data = [1, 2].flatMap { producers in
            [1, 2].map {
                DerivedName.dataTopic(queue, producingStep: step, producingStepCount: producers, run: $0)
            }
        }
        letters = data.map { DerivedName.deadLetterTopic(dataTopic: $0) }
        let instance = InstanceID(step: step, instance: "BTCUSDT")
        transactionalID = DerivedName.transactionalID(queue, instance)
        group = DerivedName.group(queue, instance)
    }
}

/// One operation that a KafkaUser may do.
private struct KafkaACL: CustomStringConvertible {
    var type: String
    var name: String
    var isPrefix: Bool
    var operation: String

    var description: String { "\(operation) \(type) \(name)\(isPrefix ? "*" : "")" }

    static func all(of user: JSONValue) -> [KafkaACL] {
        (user["spec", "authorization", "acls"]?.items ?? []).flatMap { rule in
            (rule["operations"]?.items ?? []).map { operation in
                KafkaACL(
                    type: rule["resource", "type"]?.string ?? "",
                    name: rule["resource", "name"]?.string ?? "",
                    isPrefix: rule["resource", "patternType"]?.string == "prefix",
                    operation: operation.string ?? "")
            }
        }
    }

    func covers(_ need: KafkaNeed) -> Bool {
        type == need.type && operation == need.operation
            && (isPrefix ? need.name.hasPrefix(name) : need.name == name)
    }
}
