internal import CTorch

/// Why libtorch did not do what it was asked.
package struct TorchError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What we were doing, e.g. `add`.
    package var operation: String
    /// libtorch's own words, or what was wrong with the input.
    package var detail: String

    package init(operation: String, detail: String) {
        self.operation = operation
        self.detail = detail
    }

    package var description: String { "\(operation): \(detail)" }
}

/// Turns the answer of a call into an error.
func check(_ operation: String, _ answer: Int32) throws(TorchError) {
    guard answer != 0 else { return }
    throw TorchError(operation: operation, detail: String(cString: ctorch_last_error()))
}

/// Takes over the tensor that a call gives.
func take(
    _ operation: String, _ call: (UnsafeMutablePointer<OpaquePointer?>) -> Int32
) throws(TorchError) -> Tensor {
    var handle: OpaquePointer?
    try check(operation, call(&handle))
    guard let handle else { throw TorchError(operation: operation, detail: "libtorch gave no tensor") }
    return Tensor(taking: handle)
}
