import ArangoConnector
import DocumentStores
import Foundation
import KafkaBridge
import MarketData
import PostgresBridge
import ServiceRuntime
import Workflow

/// The connector in a process of its own: runs one stream for each line `topic collection` it reads, and answers
/// `done <documents written>`.
struct ConnectorSide {
    private let broker: String
    private let database: PostgresURL

    /// - Parameter arguments: the broker's address; `BENCH_POSTGRES_URL` is in the environment.
    init(_ arguments: ArraySlice<String>) throws {
        guard let broker = arguments.first,
            let url = ProcessInfo.processInfo.environment["BENCH_POSTGRES_URL"]
        else { throw BenchError("usage: bench-connector reader BROKER, with BENCH_POSTGRES_URL") }
        self.broker = broker
        database = try PostgresURL(url)
    }

    func serve() async throws {
        MemoryPolicy.shareOneHeap()
        MemoryPolicy.returnLargeBlocks()
        let kafka = KafkaConnection(broker)
        let parts = ConnectorParts(
            consumer: try KafkaConsumer(kafka, ConnectorParts.consumerConfiguration(group: "sf-bench")),
            producer: try KafkaProducer(kafka),
            store: try await PostgreSQLDocumentStore.open(database, connectionsMax: 2))
        try await parts.store.ping(timeout: .seconds(10))
        say("ready")
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 2, let collection = CollectionName(words[1]),
                let symbol = Symbol(CandleRows.symbol)
            else { throw BenchError("unexpected line \(line)") }
            let stream = ConnectorStream(
                partition: TopicPartition(words[0], 0), attempt: 1, collection: collection, symbol: symbol,
                interval: CandleRows.interval)
            switch await StreamConnector(stream, parts: parts).run() {
            case .finished(let counts, _): say("done \(counts.recordsWritten)")
            case let other: throw BenchError("\(other)")
            }
        }
    }

    private func say(_ line: String) {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }
}
