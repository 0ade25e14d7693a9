import ArangoConnector
import DummyService
import Foundation
import GNNTrainer
import GraphBuilder
import LoaderAPICandles
import LoaderAPITrades
import LocalStack
import QueueManager
import ServiceRuntime
import Testing
import WorkerKit

/// The project's folder, found from this file.
let projectFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

@Suite struct ConfigurationPageTests {
    private static let tables = [
        QueueManagerSettings.table, WorkerProgram.table(CandleLoader.kind),
        WorkerProgram.table(TradeLoader.kind),
        WorkerProgram.table(ConnectorWorker.kind), WorkerProgram.table(GraphBuilderWorker.kind),
        WorkerProgram.table(GNNTrainerWorker.kind), WorkerProgram.table(GNNInferWorker.kind),
        WorkerProgram.table(DummyWorker.kind),
        PoolProgram.table, SharedConnectorProgram.table, StackSettings.table,
    ]

    private static var page: String {
        """
        # Configuration

        Programs are configured by environment variables only. Any variable `X` may be given as `X_FILE`, the path of a file that
        holds the value. `POSTGRES_URL` and `ARANGO_PASSWORD` are read again when their file changes, and used for the next
        connection; `KAFKA_PASSWORD` for the next Kafka client, i.e. by the next worker. A wrong or missing value stops the
        program at its start with one line that says what would be right. `--print-settings` prints the values in force,
        secrets hidden.

        This page is made from the code: `UPDATE_DOCS=1 scripts/test --filter DocumentationTests`.


        """ + tables.map { "## \($0.program)\n\n\($0.markdown())" }.joined()
    }

    @Test func `docs/configuration.md says what the code declares`() throws {
        let file = projectFolder.appending(path: "docs/configuration.md")
        if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
            try Self.page.write(to: file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: file, encoding: .utf8)
        #expect(written == Self.page, "run: UPDATE_DOCS=1 scripts/test --filter DocumentationTests")
    }
}
