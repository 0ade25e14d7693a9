import KafkaBridge
import ServiceRuntime
import WorkerKit
import Workflow

/// The settings of a connector of shared topics.
enum SharedSettings {
    static let bufferMax = Setting<Int>.integer(
        "CONNECTOR_BUFFER_MAX_MIB", in: 1...8_192, example: "64",
        doc: "Records that were read and are not stored yet; when they are more, reading pauses."
    ).unit("MiB").fallback("64")
    static let writesMax = Setting<Int>.integer(
        "CONNECTOR_WRITES_MAX", in: 1...64, example: "4",
        doc: "Batches of different streams that are stored at the same time."
    ).fallback("4")
    static let streamsMax = Setting<Int>.integer(
        "CONNECTOR_STREAMS_MAX", in: 1...1_000_000, example: "10000",
        doc: "Streams of which it remembers how far they are; it looks up the others in the store again."
    ).fallback("10000")
    static let memberName = Setting.text(
        "CONNECTOR_MEMBER_ID", example: "connector-0",
        doc:
            "A stable name among the connectors (Kafka's `group.instance.id`), to be used by one process at a time. "
            + "Not set: a member that is known for as long as it lives, as it should be on Apache Kafka, where "
            + "connectors come and go; noida-db does not forget such a member when it dies."
    ).optional()
    static let assignment = Setting<KafkaConsumerConfiguration.AssignmentStrategy>(
        "CONNECTOR_ASSIGNMENT", absent: .refused,
        expects: "one of range, roundrobin, cooperative-sticky", example: "range",
        doc:
            "How the group shares partitions out, the same for all of its members. `cooperative-sticky` moves as few "
            + "as it can; noida-db knows only the others, and `streamforge up` sets `range`. Not set: "
            + "`cooperative-sticky` with librdkafka 2.4 or newer, as in the images, and `range` with older ones, which "
            + "may skip records or hang when single partitions move."
    ) { KafkaConsumerConfiguration.AssignmentStrategy(rawValue: $0) }.optional()

    static let table = SettingsTable(
        program: "streamforge-worker \(SharedConnectorProgram.name)",
        groups: [
            SettingsGroup(
                "Connector",
                [
                    memberName, assignment, bufferMax, writesMax, streamsMax, ConnectorSettings.batchRecords,
                    ConnectorSettings.batchBytes, ConnectorSettings.batchWait, DocumentStoreSettings.kind,
                ]),
            SharedTopicSettings.group, ArangoSettings.group,
            SettingsGroup("PostgreSQL", [PostgresSettings.optionalURL]), KafkaSettings.group,
            TopicSettings.group, ServiceSettings.group,
        ])

    /// Longer than a broker waits for members that join.
    private static let joinMax = Duration.seconds(10)

    static func limits(_ values: SettingValues) -> SharedLimits {
        var limits = SharedLimits()
        limits.stream.batchRecordsMax = values[ConnectorSettings.batchRecords]
        limits.stream.batchBytesMax = values[ConnectorSettings.batchBytes]
        limits.stream.batchWait = values[ConnectorSettings.batchWait]
        limits.bufferedBytesMax = values[bufferMax] << 20
        limits.writesMax = values[writesMax]
        limits.streamsMax = values[streamsMax]
        // Without a name, joining anew would make all members share out the partitions once more.
        limits.joinMax = values[memberName] == nil ? nil : joinMax
        limits.drainMax = min(limits.drainMax, values[ServiceSettings.shutdownGrace] / 2)
        return limits
    }
}
