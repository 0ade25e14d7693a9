import KafkaBridge
import MarketData
import ServiceRuntime
import Workflow

/// What the connector reads from its environment besides what every worker reads.
enum ConnectorSettings {
    static let interval = WorkerSettings.interval.typed(
        expects: "an interval of the exchange: "
            + KlineInterval.allCases.map(\.rawValue).joined(separator: ", ")
    ) { (text: String?) -> KlineInterval?? in
        guard let text else { return .some(nil) }
        return (KlineInterval(rawValue: text) ?? KlineInterval(keyText: text)).map { .some($0) }
    }
    static let collection = WorkerSettings.collection.typed(
        expects: "1 to \(CollectionName.bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter"
    ) { CollectionName($0) }
    static let batchRecords = Setting<Int>.integer(
        "BATCH_RECORDS", in: 1...DocumentBatch.documentsMax, example: "10000",
        doc: "Documents stored at once."
    ).fallback("10000")
    static let batchBytes = Setting<Int>.integer(
        "BATCH_BYTES", in: 1...DocumentBatch.bytesMax, example: "4194304",
        doc: "Bytes of documents stored at once; a document that is larger goes alone."
    ).fallback("4194304").unit("bytes")
    static let batchWait = Setting<Duration>.seconds(
        "BATCH_WAIT", in: 0...60, example: "0.2",
        doc: "How long a record waits for others to be stored with."
    ).fallback("0.2")
    static let storeRetry = Setting<Duration>.seconds(
        "STORE_RETRY_SECONDS", in: 0...3_600, example: "60",
        doc: "How long a store that does not answer is tried before the attempt fails."
    ).fallback("60")

    static let groups = [
        SettingsGroup("Records", [interval]),
        WorkerSettings.data,
        SettingsGroup(
            "Document store",
            [
                collection, WorkerSettings.deadLettersMax, DocumentStoreSettings.kind, batchRecords,
                batchBytes, batchWait, storeRetry,
            ]),
        ArangoSettings.group,
        SettingsGroup("PostgreSQL", [PostgresSettings.optionalURL]),
    ]

    static func limits(_ values: SettingValues) -> ConnectorLimits {
        var limits = ConnectorLimits()
        limits.batchRecordsMax = values[batchRecords]
        limits.batchBytesMax = values[batchBytes]
        limits.batchWait = values[batchWait]
        limits.deadLettersMax = values[WorkerSettings.deadLettersMax]
        limits.storeRetry = values[storeRetry]
        return limits
    }

    /// The stream the settings describe.
    ///
    /// - Throws: ``SettingsError`` for what no single setting shows.
    static func stream(_ values: SettingValues) throws(SettingsError) -> ConnectorStream {
        var problems: [SettingProblem] = []
        let symbol = Symbol(values[WorkerSettings.symbol])
        if symbol == nil {
            problems.append(SettingProblem(WorkerSettings.symbol, value: values[WorkerSettings.symbol]))
        }
        let partitions = values[WorkerSettings.partitions]
        if partitions.count != 1 {
            problems.append(
                SettingProblem(
                    WorkerSettings.partitions, reason: "names \(partitions.count) partitions, one is read"))
        }
        let interval = interval(values, &problems)
        guard problems.isEmpty, let symbol, let partition = partitions.first else {
            throw SettingsError(problems: problems)
        }
        return ConnectorStream(
            partition: TopicPartition(values[WorkerSettings.topic], partition),
            attempt: values[WorkerSettings.attempt], collection: values[collection], symbol: symbol,
            interval: interval)
    }

    /// `INTERVAL`, or the one at the end of `TYPE`; nil for types of trades.
    private static func interval(_ values: SettingValues, _ problems: inout [SettingProblem])
        -> KlineInterval?
    {
        let type = values[WorkerSettings.type]
        guard type.contains("candles") else { return nil }
        let inType = type.split(separator: "_").last.flatMap { KlineInterval(keyText: String($0)) }
        guard let chosen = values[interval] ?? inType else {
            problems.append(
                SettingProblem(
                    interval, reason: "is not set and TYPE \"\(Redaction.shown(type))\" names none"))
            return nil
        }
        if let inType, chosen != inType {
            problems.append(
                SettingProblem(
                    interval,
                    reason: "\"\(chosen.keyText)\" disagrees with TYPE \"\(Redaction.shown(type))\""))
        }
        return chosen
    }
}
