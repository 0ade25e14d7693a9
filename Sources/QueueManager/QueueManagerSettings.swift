import ServiceRuntime
import Workflow

/// The settings of the queue-manager beside the groups it shares with others.
package enum QueueManagerSettings {
    package static let workerPath = Setting.path(
        "WORKER_PATH", example: "/usr/local/bin/streamforge-worker",
        doc:
            "The worker program that is started for each attempt. Not set: `streamforge-worker` beside this program."
    ).optional()
    package static let workerLogDirectory = Setting.path(
        "WORKER_LOG_DIR", example: "/var/log/streamforge/workers",
        doc: "One log file an attempt is written here."
    ).fallback("/tmp/streamforge-workers")
    package static let workerHTTPPort = Setting<Int>.integer(
        "WORKER_HTTP_PORT", in: 0...65_535, example: "0",
        doc: "`PORT` of local workers; 0 gives each a free one, as several share the machine."
    ).fallback("0")
    package static let workerOpenFiles = Setting<UInt64>.integer(
        "WORKER_OPEN_FILES_MAX", in: 64...1_048_576, example: "1024",
        doc: "Files and sockets a local worker may have open."
    ).fallback("1024")
    package static let workerMemory = Setting<UInt64>.integer(
        "WORKER_ADDRESS_SPACE_MAX_MIB", in: 256...1_048_576, example: "4096",
        doc:
            "Address space of a local worker: memory it asks for beyond that is refused, and it ends. It reserves "
            + "more than it uses, so leave room. Not set: no bound."
    ).unit("MiB").optional()
    package static let workerLogSize = Setting<UInt64>.integer(
        "WORKER_LOG_MAX_MIB", in: 1...102_400, example: "64",
        doc:
            "Size of an attempt's log file (and of any file a local worker writes); what it logs then is lost, "
            + "and it works on."
    ).unit("MiB").fallback("64")
    package static let poolTargets = Setting<[String]>.list(
        "POOL_TARGETS", example: "dummy-service",
        doc:
            "Targets whose attempts are offered to pool workers (`streamforge-worker pool`); all others run as "
            + "`LAUNCHER` says. Not set: none."
    ).typed(expects: "targets that may run pooled, commas between: \(poolable)") { names in
        let targets = names.compactMap { Target(name: $0) }.filter(\.mayRunPooled)
        return targets.count == names.count ? Set(targets) : nil
    }.optional()
    package static let poolPartitions = Setting<Int>.integer(
        "POOL_PARTITIONS", in: 1...1_000, example: "12",
        doc: "Partitions of a pool's topic when it is created: as many workers can share its offers."
    ).fallback("12")
    private static var poolable: String {
        Target.allCases.filter(\.mayRunPooled).map(\.rawValue).joined(separator: ", ")
    }

    package static let replica = Setting.text(
        "REPLICA_ID", example: "queue-manager-0",
        doc: "Names this replica among others. Not set: host, process and a random part."
    ).optional()
    package static let databaseConnectionsMax = Setting<Int>.integer(
        "DATABASE_CONNECTIONS_MAX", in: 5...200, example: "10",
        doc: "Connections to PostgreSQL at the most. Some jobs hold one while they work with others."
    ).fallback("10")
    package static let topicPartitions = Setting<Int>.integer(
        "TOPIC_PARTITIONS", in: 1...1_000, example: "12",
        doc: "Partitions of the control and events topics when they are created; never changed afterwards."
    ).fallback("12")
    package static let topicReplication = Setting<Int>.integer(
        "TOPIC_REPLICATION", in: 1...9, example: "3",
        doc: "Replicas of topics that are created. Not set: the broker's default."
    ).optional()
    package static let startLimit = Setting<Duration>.seconds(
        "START_LIMIT_SECONDS", in: 1...3_600, example: "60",
        doc: "How long an attempt may take to its first event."
    ).fallback("60")
    package static let stopGrace = Setting<Duration>.seconds(
        "STOP_GRACE_SECONDS", in: 0.1...3_600, example: "20",
        doc: "How long a stopped attempt may take to end by itself."
    ).fallback("20")
    package static let topicKeep = Setting<Duration>.seconds(
        "TOPIC_KEEP_SECONDS", in: 0...2_592_000, example: "3600",
        doc: "How long a final queue's data topics are kept."
    ).fallback("0")

    package static let sharedPartitions = Setting<Int32>.integer(
        "SHARED_TOPIC_PARTITIONS", in: 1...1_000, example: "12",
        doc:
            "Partitions of a shared topic when it is created: as many connectors can share it; never changed "
            + "afterwards."
    ).fallback("12")
    package static let sharedRetention = Setting<Duration>.seconds(
        "SHARED_TOPIC_KEEP_SECONDS", in: 3_600...31_622_400, example: "604800",
        doc: "How long records stay in a shared topic when it is created: connectors may be away for so long."
    ).fallback("604800")

    package static let table = SettingsTable(
        program: "queue-manager",
        groups: [
            ServiceSettings.group, KafkaSettings.group, TopicSettings.group, PostgresSettings.group,
            ExchangeSettings.group, ArangoSettings.group,
            SettingsGroup("Document store", [DocumentStoreSettings.kind]),
            // Of the workers, which get it from here; used here to remove models.
            ObjectStoreSettings.group,
            SettingsGroup(
                "Queue-manager",
                [
                    replica, databaseConnectionsMax, topicPartitions, topicReplication, WorkerSettings.lease,
                    startLimit, stopGrace, topicKeep,
                ]),
            LimitSettings.group, UpkeepSettings.group,
            SettingsGroup(
                SharedTopicSettings.group.title,
                SharedTopicSettings.group.settings + [sharedPartitions, sharedRetention]),
            SettingsGroup(
                "Local workers",
                [
                    workerPath, workerLogDirectory, workerHTTPPort, workerOpenFiles, workerMemory,
                    workerLogSize,
                ]),
            SettingsGroup("Pool", [poolTargets, poolPartitions]), KubernetesSettings.group,
        ])

    package static func policy(_ values: SettingValues) -> EnginePolicy {
        var policy = EnginePolicy(
            lease: values[WorkerSettings.lease], startLimit: values[startLimit],
            stopGrace: values[stopGrace], topicKeep: values[topicKeep])
        policy.limits = LimitSettings.limits(values)
        policy.shared = shared(values)
        return policy
    }

    package static func shared(_ values: SettingValues) -> SharedTopics {
        SharedTopics(
            candles: values[SharedTopicSettings.candles], trades: values[SharedTopicSettings.trades],
            partitions: values[sharedPartitions], retention: values[sharedRetention])
    }

    /// What local workers get from our own environment: the same settings under the same names, so that a
    /// secret given as a file stays a file.
    package static func workerEnvironment(from environment: [String: String]) -> [String: String] {
        let passed =
            [
                KafkaSettings.group, TopicSettings.group, PostgresSettings.group, ExchangeSettings.group,
                ArangoSettings.group, ObjectStoreSettings.group,
            ].flatMap(\.settings)
            + [
                DocumentStoreSettings.kind, WorkerSettings.lease, ServiceSettings.logLevel,
                ServiceSettings.crashPointsDirectory,
            ]
        var variables: [String: String] = [:]
        for name in passed.flatMap({ [$0.name] + $0.aliases }) {
            for name in [name, name + "_FILE"] { variables[name] = environment[name] }
        }
        // Programs need these two; the mark lets a local stack find the workers that are its own.
        for name in ["PATH", "TZ", "STREAMFORGE_STACK"] { variables[name] = environment[name] }
        return variables
    }
}
