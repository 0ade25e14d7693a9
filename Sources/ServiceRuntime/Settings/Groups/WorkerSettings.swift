/// Who a worker is and what it works on; the queue-manager sets all of it at a launch.
///
/// The texts are read into the domain's own types by whoever uses them (``Setting/typed(expects:_:)``).
package enum WorkerSettings {
    package static let queueID = Setting.text(
        "QUEUE_ID", example: "wf-btcusdt-api_candles_1m-20240801-abc123", doc: "The queue it works for.")
    package static let step = Setting.text(
        "STEP", example: "candles", doc: "The step of the queue's plan.")
    package static let instance = Setting.text(
        "INSTANCE", example: "BTCUSDT", doc: "The instance of the step, where a step is fanned out.")
    package static let attempt = Setting<Int>.integer(
        "ATTEMPT", in: 1...1_000_000, example: "1", doc: "Which try of the instance this is."
    ).fallback("1")
    package static let target = Setting.text(
        "TARGET", example: "loader-api-candles", doc: "The target of the step; not set: the worker's kind."
    ).optional()
    package static let symbol = Setting.text(
        "SYMBOL", example: "BTCUSDT", doc: "The trading pair; `all` for an instance that has several.")
    package static let symbols = Setting<[String]>.list(
        "SYMBOLS", example: "BTCUSDT,ETHUSDT",
        doc: "The trading pairs of an instance that is not fanned out by symbol."
    ).optional()
    package static let type = Setting.text(
        "TYPE", example: "api_candles_1m", doc: "The type of the data, as the request named it.")
    package static let interval = Setting.text(
        "INTERVAL", example: "5m", doc: "The candles' interval. Not set: the one in `TYPE`."
    ).optional()
    package static let timeRange = Setting.text(
        "TIME_RANGE", example: "2024-08-01:2024-08-07", doc: "First and last day, UTC, both included.")
    package static let asOf = Setting<Int64>.integer(
        "AS_OF", in: 0...9_999_999_999_999, example: "1722988800000",
        doc: "The moment the queue was created: only candles closed then are loaded."
    ).unit("Unix milliseconds")

    package static let topic = Setting.text(
        "KAFKA_TOPIC", example: "wf-btcusdt-api_candles_1m-20240801-abc123-data",
        doc: "The data topic it writes to or reads from.")
    package static let partitions = Setting<[Int32]>.partitions(
        "KAFKA_PARTITIONS", example: "0", doc: "Its partitions of the data topic."
    ).fallback("0")
    package static let controlPartition = Setting<Int32>.integer(
        "CONTROL_PARTITION", in: 0...100_000, example: "3",
        doc: "The partition of the control topic that carries its queue's commands.")
    package static let controlOffset = Setting<Int64>.integer(
        "CONTROL_OFFSET", in: 0...Int64.max, example: "0",
        doc: "The control partition's end before the launch: commands are read from here."
    ).fallback("0")

    package static let collection = Setting.text(
        "COLLECTION_NAME", example: "btcusdt_api_candles_1m_2024_08_01", doc: "Where its documents go.")
    package static let collectionInputs = Setting<[String]>.list(
        "COLLECTION_INPUTS", example: "btcusdt_api_candles_1m_2024_08_01,ethusdt_api_candles_1m_2024_08_01",
        doc: "Collections it reads."
    ).optional()
    package static let collectionOutput = Setting.text(
        "COLLECTION_OUTPUT", example: "relations_2024_08_01", doc: "Collection its result goes to."
    ).optional()
    package static let deadLettersMax = Setting<Int64>.integer(
        "DEAD_LETTERS_MAX", in: 0...Int64.max, example: "1000",
        doc: "More records that cannot be stored than this fail the instance."
    ).fallback("1000")
    package static let graphCollection = Setting.text(
        "GRAPH_COLLECTION", example: "market_graph", doc: "The graph it writes or reads."
    ).alias("GRAPH_COLLECTION_NAME").optional()
    package static let modelName = Setting.text(
        "MODEL_NAME", example: "gatv2", doc: "The name its model is stored under."
    ).alias("MODEL_OUTPUT").optional()

    /// `dedicated` or `shared`; what it means is the domain's.
    package static let transport = Setting.text(
        "TRANSPORT", example: "shared",
        doc:
            "`shared`: the data topic is one of all queues, and each record says whose it is; else `dedicated`."
    ).fallback("dedicated")
    package static let sinkStep = Setting.text(
        "SINK_STEP", example: "store", doc: "With `TRANSPORT` `shared`, the step that stores its records."
    ).optional()
    package static let sinkInstance = Setting.text(
        "SINK_INSTANCE", example: "BTCUSDT", doc: "With `TRANSPORT` `shared`, the instance of that step."
    ).optional()
    package static let sinkAttempt = Setting<Int>.integer(
        "SINK_ATTEMPT", in: 1...1_000_000, example: "1",
        doc: "With `TRANSPORT` `shared`, the attempt of that instance."
    ).optional()
    package static let resumeKey = Setting.text(
        "RESUME_KEY", example: "BTCUSDT-5m-1722470400000",
        doc: "With `TRANSPORT` `shared`, the last record that is known to be written. Not set: none."
    ).optional()
    package static let resumeSequence = Setting<Int64>.integer(
        "RESUME_SEQ", in: 1...Int64.max, example: "4711", doc: "The number of the record in `RESUME_KEY`."
    ).optional()
    package static let resumeFirstKey = Setting.text(
        "RESUME_FIRST_KEY", example: "BTCUSDT-5m-1722470400000",
        doc: "With `TRANSPORT` `shared`, the first record that was written."
    ).optional()

    package static let telemetryProducerID = Setting.text(
        "TELEMETRY_PRODUCER_ID", example: "arango-connector__abc123",
        doc: "How its events name their producer. Not set: made from the target and the queue."
    ).optional()
    package static let workerID = Setting.text(
        "WORKER_ID", example: "node-1/4711", doc: "Names the process in events. Not set: host and process."
    ).optional()
    package static let lease = Setting<Duration>.seconds(
        "LEASE_SECONDS", in: 0.3...3_600, example: "30",
        doc: "How long an attempt lives without a heartbeat; heartbeats go out every third of it."
    ).fallback("30")
    package static let traceparent = Setting<Traceparent>(
        "TRACEPARENT", absent: .refused, expects: "a W3C trace context",
        example: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        doc: "The request's trace, passed on to records and events."
    ) { Traceparent($0) }.optional()

    /// Who it is: every kind of worker has these.
    package static let identity = SettingsGroup(
        "Worker identity",
        [
            queueID, step, instance, attempt, target, symbol, symbols, type, telemetryProducerID, workerID,
            lease,
            traceparent,
        ])
    /// Where its commands come from.
    package static let control = SettingsGroup("Worker control", [controlPartition, controlOffset])
    /// The data topic.
    package static let data = SettingsGroup("Data topic", [topic, partitions])
    /// What a loader says in each record of a shared topic, and where it goes on.
    package static let sharedTransport = SettingsGroup(
        "Shared transport",
        [
            transport, sinkStep, sinkInstance, sinkAttempt, collection.optional(), deadLettersMax, resumeKey,
            resumeSequence, resumeFirstKey,
        ])
}
