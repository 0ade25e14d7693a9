import ArangoConnector
import ServiceRuntime
import Testing
import WorkerKit
import Workflow

@Suite struct ConnectorWorkerTests {
    static let environment = [
        "QUEUE_ID": "wf-btcusdt-api_candles_5m-20240801-abc123", "STEP": "store", "INSTANCE": "BTCUSDT",
        "SYMBOL": "BTCUSDT", "TYPE": "api_candles_5m", "CONTROL_PARTITION": "0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_TOPIC": "wf-btcusdt-data",
        "COLLECTION_NAME": "btcusdt", "POSTGRES_URL": "postgres://someone@127.0.0.1:1/none",
    ]

    private func problems(_ changes: [String: String?]) -> [String] {
        var environment = Self.environment
        for (name, value) in changes { environment[name] = value }
        let kind = ConnectorWorker.kind
        do {
            let values = try SettingsReader(environment: environment).read(WorkerProgram.table(kind))
            _ = try kind.make(values)
            return []
        } catch let error as SettingsError {
            return error.problems.map(\.name)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func `takes the settings the engine gives`() {
        #expect(problems([:]) == [])
        #expect(problems(["INTERVAL": "5m", "DEAD_LETTERS_MAX": "5", "KAFKA_PARTITIONS": "3"]) == [])
        #expect(problems(["ARANGO_URL": "http://127.0.0.1:8529"]) == [])
        #expect(problems(["ARANGO_URL": "http://127.0.0.1:8529", "POSTGRES_URL": nil]) == [])
    }

    @Test func `names the setting that is wrong`() {
        #expect(problems(["POSTGRES_URL": nil]) == ["POSTGRES_URL"])
        #expect(problems(["DOCUMENT_STORE": "arango"]) == ["ARANGO_URL"])
        #expect(problems(["POSTGRES_URL": "nonsense://"]) == ["POSTGRES_URL"])
        #expect(problems(["INTERVAL": "1m"]) == ["INTERVAL"])
        #expect(problems(["INTERVAL": "7m"]) == ["INTERVAL"])
        #expect(problems(["SYMBOL": "btc"]) == ["SYMBOL"])
        #expect(problems(["KAFKA_PARTITIONS": "0,1"]) == ["KAFKA_PARTITIONS"])
        #expect(problems(["COLLECTION_NAME": "1inch"]) == ["COLLECTION_NAME"])
        #expect(problems(["BATCH_RECORDS": "0"]) == ["BATCH_RECORDS"])
    }
}
