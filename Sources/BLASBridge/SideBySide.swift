import Dispatch

/// Calls `body` with 0, 1 and so on, on as many threads as there are cores where the work is large enough; all calls
/// are over when it returns. They must not write to the same place.
///
/// - Parameter size: of all the work, in numbers to be worked on.
package func sideBySide(_ count: Int, size: Int, _ body: (Int) -> Void) {
    // Below this a second thread costs more than it saves.
    guard size >= 20_000 else { return (0..<count).forEach(body) }
    withoutActuallyEscaping(body) { body in
        // The caller's promise, see above.
        nonisolated(unsafe) let body = body
        DispatchQueue.concurrentPerform(iterations: count) { body($0) }
    }
}

extension Array {
    /// What `make` gives for 0, 1 and so on; see ``sideBySide(_:size:_:)``.
    package init(sideBySide count: Int, size: Int, _ make: (Int) -> Element) {
        self.init(unsafeUninitializedCapacity: count) { memory, made in
            let base = memory.baseAddress
            BLASBridge.sideBySide(count, size: size) { index in
                base.map { ($0 + index).initialize(to: make(index)) }
            }
            made = count
        }
    }
}
