import Hummingbird
import KafkaBridge
import Logging
import Metrics
import PostgresBridge
import ServiceLifecycle
import Workflow

/// What runs beside the engine, and its routes: the feed over all queues, dead letters, retention,
/// projection.
package struct Upkeep: Sendable {
    package struct Parts: Sendable {
        /// Where replayed letters and the projection go.
        package var documents: any DocumentStore
        package var retention: RetentionPolicy
        /// The projection's collection; nil: there is none.
        package var projection: CollectionName?
        /// Topics that dead letters of several queues go to.
        package var shared = SharedTopics()

        package init(
            documents: any DocumentStore, retention: RetentionPolicy, projection: CollectionName?
        ) {
            self.documents = documents
            self.retention = retention
            self.projection = projection
        }
    }

    let collector: DeadLetterCollector
    let feed: HistoryFeed
    private let parts: Parts
    private let pool: PostgresPool
    let observe: UpkeepObserver
    private let closeTopics: @Sendable () async -> Void

    init(
        _ parts: Parts, pool: PostgresPool, kafka: KafkaConnection, observe: UpkeepObserver,
        kafkaObserver: @escaping KafkaObserver
    ) throws(KafkaError) {
        self.parts = parts
        self.pool = pool
        self.observe = observe
        let (topics, close) = try DeadLetterTopics.kafka(kafka, observe: kafkaObserver)
        closeTopics = close
        collector = DeadLetterCollector(
            store: DeadLetterStore(pool), topics: topics, observe: observe, shared: parts.shared)
        feed = HistoryFeed(store: HistoryStore(pool))
    }

    var services: [any Service] {
        var services: [any Service] = [
            // Ended in the reverse order: the clients after those who use them.
            Closing { [closeTopics, parts] in
                await closeTopics()
                await parts.documents.close()
            },
            collector, RetentionJob(pool: pool, policy: parts.retention, observe: observe),
        ]
        if let collection = parts.projection {
            services.append(
                QueueProjection(
                    pool: pool, documents: parts.documents, collection: collection, observe: observe))
        }
        return services
    }

    func add(to router: Router<BasicRequestContext>) {
        let letters = DeadLetterStore(pool)
        DeadLetterRoutes(
            store: letters,
            replay: DeadLetterReplay(store: letters, documents: parts.documents, observe: observe)
        ).add(to: router)
        ProjectionRoutes(store: ProjectionStore(pool), collection: parts.projection).add(to: router)
        feed.add(to: router)
    }
}

/// Closes clients at shutdown.
private struct Closing: Service {
    let close: @Sendable () async -> Void

    func run() async throws {
        // Cancelled: closed all the same.
        try? await gracefulShutdown()
        await close()
    }
}
