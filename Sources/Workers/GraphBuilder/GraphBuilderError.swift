import WorkerKit
import Workflow

/// Why a graph cannot be built.
package struct GraphBuilderError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The candles do not make a graph: too few symbols or times.
        case noGraph
        /// A stored document is no candle or trade.
        case badRecord
        /// The numbers would need more memory than allowed.
        case tooLarge
        /// What is stored under the version is not what was written.
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
