import KafkaBridge
import Logging
import Metrics
import Workflow

/// What a connector tells about itself; logs and metrics are the one `switch` below.
package enum ConnectorObservation: Sendable {
    case resumed(StreamProgress)
    case batchStored(documents: Int, bytes: Int, existing: Int, took: Duration)
    case deadLettersSent(count: Int)
    case storeRetried(StoreError, pause: Duration)
    /// Only the lag that others see is late.
    case positionCommitFailed(KafkaError)
    case readFailed(KafkaError)
    case confirmed(documents: Int64, expected: Int64)
}

package struct ConnectorObserver: Sendable {
    private let logger: Logger
    private let batches: Metrics.Timer
    private let documents: Counter
    private let bytes: Counter
    private let deadLetters: Counter
    private let retries: Counter

    package init(logger: Logger, metrics: any MetricsFactory) {
        self.logger = logger
        batches = Metrics.Timer(label: "connector_batch_write_seconds", factory: metrics)
        documents = Counter(label: "connector_documents_total", factory: metrics)
        bytes = Counter(label: "connector_document_bytes_total", factory: metrics)
        deadLetters = Counter(label: "connector_dead_letters_total", factory: metrics)
        retries = Counter(label: "connector_store_retries_total", factory: metrics)
    }

    package func callAsFunction(_ observation: ConnectorObservation) {
        switch observation {
        case .resumed(let progress):
            let fields: Logger.Metadata = [
                "offset": "\(progress.nextOffset)", "last_seq": "\(progress.lastSequence)",
            ]
            logger.info("Took over the stream", metadata: fields)
        case .batchStored(let count, let size, let existing, let took):
            batches.record(duration: took)
            documents.increment(by: count)
            bytes.increment(by: size)
            let fields: Logger.Metadata = ["documents": "\(count)", "existing": "\(existing)"]
            logger.debug("Stored a batch", metadata: fields)
        case .deadLettersSent(let count):
            deadLetters.increment(by: count)
            logger.warning("Sent dead letters", metadata: ["documents": "\(count)"])
        case .storeRetried(let error, let pause):
            retries.increment()
            let fields: Logger.Metadata = ["error": "\(error)", "pause": "\(pause)"]
            logger.warning("Store did not answer, tried again", metadata: fields)
        case .positionCommitFailed(let error):
            logger.warning("Could not commit the position", metadata: ["error": "\(error)"])
        case .readFailed(let error):
            logger.warning("Could not read the data topic", metadata: ["error": "\(error)"])
        case .confirmed(let documents, let expected):
            let fields: Logger.Metadata = ["documents": "\(documents)", "expected": "\(expected)"]
            logger.info("Store confirmed the range", metadata: fields)
        }
    }
}
