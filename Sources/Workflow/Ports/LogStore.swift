/// Keeps what attempts wrote to their output after their jobs are gone.
package protocol LogStore: Sendable {
    /// Keeps the log of an attempt; one that was kept before is replaced.
    ///
    /// - Parameter log: the end is kept, at most ``SavedLog/bytesMax`` bytes. Nothing is kept for a queue that is
    ///   not there any more.
    func save(_ log: [UInt8], of key: JobKey) async throws(LogStoreError)

    /// nil when nothing was kept.
    func log(of key: JobKey) async throws(LogStoreError) -> [UInt8]?
}

package enum SavedLog {
    package static let bytesMax = 1 << 20
}

package struct LogStoreError: Error, Sendable, Equatable, CustomStringConvertible {
    package var operation: String
    package var detail: String

    package init(operation: String, detail: String) {
        self.operation = operation
        self.detail = detail
    }

    package var description: String { "\(operation): \(detail)" }
}
