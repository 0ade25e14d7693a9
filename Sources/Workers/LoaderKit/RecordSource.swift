import BinanceFeed
import MarketData

/// What a load reads: the records of one kind and symbol in one range, in the order of their keys.
package protocol RecordSource: Sendable {
    associatedtype Page: RecordPage

    var symbol: Symbol { get }

    /// Passes pages to `handle`, in order, and returns after the last.
    ///
    /// - Parameter last: the last record that is not wanted again; nil to begin at the range's start. One for which
    ///   ``misfit(_:)`` is nil.
    /// - Throws: `FeedError`, `CancellationError`, or what `handle` throws.
    func read(after last: StoredRecord?, handle: @Sendable (Page) async throws -> Void) async throws

    /// Why a record that was found in the partition is none of this load's; nil when it may be.
    func misfit(_ record: StoredRecord) -> String?
}

/// A record that is in the partition already.
package struct StoredRecord: Sendable, Equatable {
    package var key: String
    /// The record itself, JSON.
    package var value: [UInt8]
}

/// One page of a source, ready to be written.
package protocol RecordPage: Sendable {
    var rowCount: Int { get }
    var holes: [RecordHole] { get }
    func key(row: Int) -> String

    /// Passes each record in order: the room it needs, and a function that fills it and returns its length.
    func forEachRecord(_ body: (_ bytesMax: Int, _ write: (UnsafeMutableRawBufferPointer) -> Int) -> Void)
}
