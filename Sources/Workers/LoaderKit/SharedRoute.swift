import KafkaBridge
import ServiceRuntime
import Workflow

/// What a loader says in each record of a topic that all queues share, and where it goes on.
package struct SharedRoute: Sendable, Equatable {
    /// The last record that is known to be committed, by the engine's knowledge: an attempt that goes on after it
    /// may write some once more, under the same numbers, which their reader skips.
    package struct Resume: Sendable, Equatable {
        package var key: String
        package var sequence: Int64
        /// For the end marker.
        package var firstKey: String

        package init(key: String, sequence: Int64, firstKey: String) {
            self.key = key
            self.sequence = sequence
            self.firstKey = firstKey
        }
    }

    package var queueID: QueueID
    /// The attempt that stores the records.
    package var sink: InstanceID
    package var sinkAttempt: Int
    package var collection: CollectionName
    package var type: String
    /// As keys write it; nil for trades.
    package var interval: String?
    package var deadLettersMax: Int64
    /// nil: from the start.
    package var resume: Resume?

    package init(
        queueID: QueueID, sink: InstanceID, sinkAttempt: Int, collection: CollectionName, type: String,
        interval: String?, deadLettersMax: Int64, resume: Resume? = nil
    ) {
        self.queueID = queueID
        self.sink = sink
        self.sinkAttempt = sinkAttempt
        self.collection = collection
        self.type = type
        self.interval = interval
        self.deadLettersMax = deadLettersMax
        self.resume = resume
    }

    /// The headers that all records of the attempt have.
    var headers: [RecordBatch.Header] {
        var headers: [(String, String)] = [
            (RecordHeader.queue, queueID.rawValue), (RecordHeader.step, sink.step.rawValue),
            (RecordHeader.instance, sink.instance), (RecordHeader.sinkAttempt, String(sinkAttempt)),
            (RecordHeader.collection, collection.rawValue), (RecordHeader.type, type),
        ]
        if let interval { headers.append((RecordHeader.interval, interval)) }
        return headers.map { ($0.0, Array($0.1.utf8)) }
    }
}

extension SharedRoute {
    private static let transport = WorkerSettings.transport.typed(
        expects: "one of \(Transport.allCases.map(\.rawValue).joined(separator: ", "))"
    ) { Transport(rawValue: $0) }
    private static let step = WorkerSettings.sinkStep.typed(expects: "the id of a step") {
        (text: String?) -> StepID?? in
        guard let text else { return .some(nil) }
        return StepID(text).map { .some($0) }
    }
    private static let collection = WorkerSettings.collection.optional().typed(
        expects: "1 to \(CollectionName.bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter"
    ) { (text: String?) -> CollectionName?? in
        guard let text else { return .some(nil) }
        return CollectionName(text).map { .some($0) }
    }

    static let group = WorkerSettings.sharedTransport.replacing([transport, step, collection])

    /// nil with a topic of its own.
    ///
    /// - Parameter interval: of candles.
    /// - Throws: ``SettingsError`` where something is missing.
    static func read(
        _ values: SettingValues, queueID: QueueID, interval: String?
    ) throws(SettingsError) -> SharedRoute? {
        guard values[transport] == .shared else { return nil }
        guard let step = values[step], let instance = values[WorkerSettings.sinkInstance],
            let attempt = values[WorkerSettings.sinkAttempt], let collection = values[collection]
        else {
            throw SettingsError(problems: [
                SettingProblem(
                    WorkerSettings.transport,
                    reason:
                        "is shared, which needs SINK_STEP, SINK_INSTANCE, SINK_ATTEMPT and COLLECTION_NAME")
            ])
        }
        var route = SharedRoute(
            queueID: queueID, sink: InstanceID(step: step, instance: instance), sinkAttempt: attempt,
            collection: collection, type: values[WorkerSettings.type], interval: interval,
            deadLettersMax: values[WorkerSettings.deadLettersMax])
        if let key = values[WorkerSettings.resumeKey], let sequence = values[WorkerSettings.resumeSequence],
            let first = values[WorkerSettings.resumeFirstKey]
        {
            route.resume = Resume(key: key, sequence: sequence, firstKey: first)
        }
        return route
    }
}
