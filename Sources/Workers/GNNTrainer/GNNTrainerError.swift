import GNNTraining
import Workflow

/// Why there is no model, or no prediction.
package struct GNNTrainerError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The graph has no complete version, or too few snapshots.
        case noGraph
        /// A stored document is none of a graph.
        case badDocument
        /// The graph is larger than what may be held in memory.
        case tooLarge
        /// There is no such model, or it is of another kind of graph.
        case noModel
        /// What is there is not what was written: another attempt may find it mended.
        case incomplete
    }

    package var code: Code
    package var detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    package var description: String { detail }
}

/// The work was asked to stop; nothing was written since.
struct GNNStopped: Error {}
