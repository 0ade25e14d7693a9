internal import TorchBridge

/// Why there is no model.
package struct TrainingError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The plan asks for what cannot be.
        case badPlan = "bad_plan"
        /// There is not enough to learn from.
        case badData = "bad_data"
        /// The loss is no number any more.
        case diverged
        /// A checkpoint or artifact could not be written, or is not what it should be.
        case storage
        /// The caller asked for it; what was done is in the last checkpoint.
        case stopped
        case libtorch
    }

    package var code: Code
    package var detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    init(_ error: TorchError) {
        self.init(.libtorch, "\(error)")
    }

    package var description: String { "\(code.rawValue): \(detail)" }
}

/// Runs what only libtorch can make fail.
func torch<R>(_ body: () throws(TorchError) -> R) throws(TrainingError) -> R {
    do throws(TorchError) {
        return try body()
    } catch {
        throw TrainingError(error)
    }
}
