import ArangoConnector
import DummyService
import LoaderAPICandles
import LoaderAPITrades
import Testing
import WorkerKit
import Workflow

struct PoolKindsTests {
    /// The queue-manager knows by target what the workers know by kind.
    @Test(arguments: [CandleLoader.kind, TradeLoader.kind, ConnectorWorker.kind, DummyWorker.kind])
    func `a target may run pooled exactly when its kind may`(kind: WorkerKind) throws {
        let target = try #require(Target(rawValue: kind.name))
        #expect(target.mayRunPooled == kind.mayRunPooled)
    }
}
