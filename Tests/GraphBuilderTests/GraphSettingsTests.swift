import GraphBuilder
import GraphModel
import MarketData
import ServiceRuntime
import Testing
import WorkerKit

@Suite struct GraphSettingsTests {
    private static let environment = [
        "QUEUE_ID": "wf-test-graph_build-20240801-abc123", "STEP": "graph", "INSTANCE": "all",
        "SYMBOL": "all",
        "SYMBOLS": "BTCUSDT,ETHUSDT", "TYPE": "graph_build", "INTERVAL": "1h",
        "TIME_RANGE": "2024-08-01:2024-08-07", "AS_OF": "1723161600000", "CONTROL_PARTITION": "0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "COLLECTION_INPUTS": "candles",
        "GRAPH_COLLECTION": "market_graph_1h", "POSTGRES_URL": "postgres://u:p@127.0.0.1:1/d",
    ]

    /// The problems of the settings; none: they are right.
    private func problems(_ changes: [String: String]) -> [String] {
        let environment = Self.environment.merging(changes) { _, new in new }
        do {
            let values = try SettingsReader(environment: environment)
                .read(WorkerProgram.table(GraphBuilderWorker.kind))
            _ = try GraphBuilderWorker.kind.make(values)
            return []
        } catch let error as SettingsError {
            return error.problems.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func `the settings of a launch are right`() {
        #expect(problems([:]) == [])
        let all = [
            "GRAPH_METHODS": "pearson,spearman,partial,lead_lag", "GRAPH_SIGNIFICANCE": "0.01",
            "GRAPH_CORRECTION": "bonferroni", "GRAPH_WINDOW": "24", "GRAPH_RETURN_HORIZONS": "1, 6",
            "COLLECTION_INPUTS": "a,b", "TRADE_COLLECTION_INPUTS": "c", "TRADE_TYPE": "api_trades_raw",
        ]
        #expect(problems(all) == [])
    }

    @Test(arguments: [
        (["SYMBOLS": "BTCUSDT"], "SYMBOLS"), (["SYMBOLS": "BTCUSDT,BTCUSDT"], "SYMBOLS"),
        (["INTERVAL": "1M"], "INTERVAL"), (["COLLECTION_INPUTS": "a,b,c"], "COLLECTION_INPUTS"),
        (["GRAPH_COLLECTION": "1graph"], "GRAPH_COLLECTION"), (["GRAPH_METHODS": "kendall"], "GRAPH_METHODS"),
        (["GRAPH_METHODS": "pearson,pearson"], "GRAPH_METHODS"),
        (["GRAPH_TOP_K": "3", "GRAPH_THRESHOLD": "0.5"], "GRAPH_THRESHOLD"),
        (["GRAPH_THRESHOLD": "1.5"], "GRAPH_THRESHOLD"), (["GRAPH_RETURN_HORIZONS": "0"], "GRAPH_RETURN"),
        (["TRADE_TYPE": "trades"], "TRADE_TYPE"),
    ])
    func `a wrong setting is refused by its name`(changes: [String: String], name: String) {
        let problems = problems(changes)
        #expect(problems.count == 1 && problems[0].contains(name), "\(problems)")
    }

    @Test func `only candles that were closed when the queue was created count`() throws {
        let range = try #require(DayRange("2024-08-01:2024-08-02"))
        let hour: Int64 = 3_600_000
        func count(_ interval: KlineInterval, asOf: Int64) -> Int? {
            GraphJob.grid(range, interval, asOf: asOf)?.count
        }
        #expect(count(.hour1, asOf: .max / 2) == 48)
        #expect(count(.hour1, asOf: range.startMilliseconds + 5 * hour) == 5)
        #expect(count(.hour1, asOf: range.startMilliseconds + 5 * hour - 1) == 4)
        #expect(count(.hour1, asOf: 0) == 0)
        #expect(count(.month1, asOf: .max / 2) == nil)
        // 2024-08-01 was a Thursday: no week begins in these two days.
        #expect(count(.week1, asOf: .max / 2) == 0)
    }
}
