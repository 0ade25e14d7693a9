import BinanceFeed
import MarketData

/// What a load reads: the records of one kind and symbol in one range, in the order of their keys.
package protocol RecordSource: Sendable {
    associatedtype Page: RecordPage

    var symbol: Symbol { get }

    /// Passes pages to `handle`, in order, and returns after the last.
    ///
    /// - Parameter key: the last record that is not wanted again; nil to begin at the range's start. One for which
    ///   ``misfit(key:value:)`` is nil.
    /// - Throws: `FeedError`, `CancellationError`, or what `handle` throws.
    func read(after key: String?, handle: @Sendable (Page) async throws -> Void) async throws

    /// Why a record that was found in the partition is none of this load's; nil when it may be.
    func misfit(key: String, value: [UInt8]) -> String?
}

/// One page of a source, ready to be written.
package protocol RecordPage: Sendable {
    var rowCount: Int { get }
    var holes: [RecordHole] { get }
    func key(row: Int) -> String

    /// Passes each record in order: the room it needs, and a function that fills it and returns its length.
    func forEachRecord(_ body: (_ bytesMax: Int, _ write: (UnsafeMutableRawBufferPointer) -> Int) -> Void)
}
