import Crypto
import Foundation
import GraphModel
import ServiceRuntime
import Workflow

/// Does the arithmetic on a thread of its own: it takes long, and heartbeats must go on meanwhile.
actor GraphComputer {
    private let executor = QueueExecutor(label: "graph")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let frame: CandleFrame
    private let parameters: GraphParameters
    private let settings: String
    private lazy var builder = SnapshotBuilder(frame, parameters)

    /// - Parameter settings: all that the result follows from besides the candles.
    init(_ frame: CandleFrame, _ parameters: GraphParameters, settings: String) {
        self.frame = frame
        self.parameters = parameters
        self.settings = settings
    }

    func snapshot(end: Int) -> GraphSnapshot { builder.snapshot(end: end) }

    /// Follows from candles and settings alone: who builds the same again finds it there.
    func version() -> GraphVersionID {
        var hash = SHA256()
        hash.update(data: Data(settings.utf8))
        for column in CandleColumn.allCases {
            frame.values(column).withUnsafeBytes { hash.update(bufferPointer: $0) }
        }
        let digits = hash.finalize().prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        guard let id = GraphVersionID(digits.joined()) else { preconditionFailure("it is 16 digits") }
        return id
    }
}
