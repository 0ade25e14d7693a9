/// Where records come to rest: ArangoDB or PostgreSQL behind one port.
///
/// Every implementation passes the same contract suite (`Tests/DocumentStoresTests`). All calls are safe
/// to repeat: a record that is there already is a duplicate, never an error.
package protocol DocumentStore: Sendable {
    /// Creates the collection and its indexes unless they exist; two callers at once are fine.
    func ensureCollection(_ name: CollectionName, indexes: [DocumentIndex]) async throws(StoreError)

    /// Takes over a stream for an attempt and returns how far earlier attempts got.
    ///
    /// From then on writes of lower attempts throw ``StoreError/Code/superseded``. The first claim of a
    /// stream returns ``StreamProgress`` with everything zero.
    func claim(_ stream: StreamName, attempt: Int) async throws(StoreError) -> StreamProgress

    /// Writes a batch and, with it, moves the stream's position.
    ///
    /// When this returns, the documents and the new progress are durable. In PostgreSQL both are one
    /// transaction; in ArangoDB the progress follows the documents, so a crash in between makes the next
    /// attempt write the same documents again, which is a no-op.
    ///
    /// - Parameters:
    ///   - advance: nil writes documents only.
    ///   - refused: called with the documents the store will never accept, before the position moves; if
    ///     it throws, nothing moves. They count as dead letters in the progress.
    /// - Throws: ``StoreError``: `superseded` when a higher attempt has claimed the stream, `conflict`
    ///   when the stored progress is not `advance.from`, `unavailable` (retriable), `corrupt`.
    func write(
        _ batch: DocumentBatch, to collection: CollectionName, mode: WriteMode, advance: StreamAdvance?,
        refused: @Sendable ([RefusedDocument]) async throws -> Void
    ) async throws(StoreError) -> WriteOutcome

    /// Removes documents by key, durably; those that are not there are fine.
    ///
    /// - Parameter keys: at most a few hundred: this is for upkeep, not for streams.
    /// - Throws: ``StoreError``: `notFound` when the collection is not there.
    func remove(_ keys: [String], from collection: CollectionName) async throws(StoreError)

    /// Counts the documents of a range.
    func count(in collection: CollectionName, range: KeyRange) async throws(StoreError) -> Int64

    /// Reads the documents of a range in key order and hands them over a page at a time.
    ///
    /// - Parameter body: gets one JSON text a document, without the store's own attributes other than
    ///   `_key`; while it runs no further page is fetched.
    func scan(
        _ collection: CollectionName, range: KeyRange, pageDocumentsMax: Int,
        body: ([[UInt8]]) async throws -> Void
    ) async throws

    /// Removes a collection and everything in it; a collection that is not there is fine.
    func dropCollection(_ name: CollectionName) async throws(StoreError)

    /// Whether the store answers; used by readiness probes.
    func ping(timeout: Duration) async throws(StoreError)

    /// Ends connections; later calls throw `unavailable`.
    func close() async
}

/// An index over document fields.
package struct DocumentIndex: Sendable, Hashable {
    package var fields: [String]
    package var isUnique: Bool

    package init(fields: [String], isUnique: Bool = false) {
        self.fields = fields
        self.isUnique = isUnique
    }
}

/// What to do with a document whose key is there already.
package enum WriteMode: String, Sendable, CaseIterable {
    /// Keep the stored one: closed candles and trades never change, and nothing is rewritten.
    case insertOrIgnore
    /// Replace the stored one.
    case upsert
}

/// Identifies one stream a reader keeps its place in: `<topic>/<partition>`, or a part of a shared topic.
package struct StreamName: Sendable, Hashable {
    package let rawValue: String

    package init(topic: String, partition: Int32) {
        rawValue = "\(topic)/\(partition)"
    }

    /// What one attempt of an instance takes from a shared topic: `<queue>/<step>/<instance>/<attempt>`.
    package init(queue: QueueID, id: InstanceID, attempt: Int) {
        rawValue = "\(queue)/\(id.step)/\(id.instance)/\(attempt)"
    }
}

/// How far a stream has been stored, over all attempts.
package struct StreamProgress: Sendable, Hashable, Codable {
    /// The attempt that owns the stream.
    package var attempt: Int
    /// The topic offset to read next; 0 at the start.
    package var nextOffset: Int64
    /// The highest `sf-seq` that was stored or dead-lettered; 0 at the start.
    package var lastSequence: Int64
    package var recordsWritten: Int64
    package var duplicates: Int64
    package var deadLetters: Int64

    package init(
        attempt: Int = 0, nextOffset: Int64 = 0, lastSequence: Int64 = 0, recordsWritten: Int64 = 0,
        duplicates: Int64 = 0, deadLetters: Int64 = 0
    ) {
        self.attempt = attempt
        self.nextOffset = nextOffset
        self.lastSequence = lastSequence
        self.recordsWritten = recordsWritten
        self.duplicates = duplicates
        self.deadLetters = deadLetters
    }
}

/// A compare-and-set of a stream's progress that goes with a batch.
package struct StreamAdvance: Sendable, Hashable {
    package var stream: StreamName
    /// What the writer believes is stored.
    package var from: StreamProgress
    package var nextOffset: Int64
    package var lastSequence: Int64
    /// Records of this batch that never became documents (unreadable) and were dead-lettered already.
    package var deadLetters: Int64

    package init(
        stream: StreamName, from: StreamProgress, nextOffset: Int64, lastSequence: Int64, deadLetters: Int64
    ) {
        self.stream = stream
        self.from = from
        self.nextOffset = nextOffset
        self.lastSequence = lastSequence
        self.deadLetters = deadLetters
    }
}

/// A document the store refused for good, e.g. a key with an illegal character.
package struct RefusedDocument: Sendable, Hashable {
    /// Index in the batch.
    package var index: Int
    /// The store's own words.
    package var reason: String

    package init(index: Int, reason: String) {
        self.index = index
        self.reason = reason
    }
}

/// What became of a batch.
package struct WriteOutcome: Sendable, Hashable {
    package var created: Int
    /// Ignored because the key was there (`insertOrIgnore`), or replaced (`upsert`).
    package var existing: Int
    package var refused: [RefusedDocument]
    /// The stored progress after the batch; nil when the batch came without an advance.
    package var progress: StreamProgress?

    package init(created: Int, existing: Int, refused: [RefusedDocument], progress: StreamProgress?) {
        self.created = created
        self.existing = existing
        self.refused = refused
        self.progress = progress
    }
}

/// Documents to write, in one block of memory: keys and JSON texts are slices of it.
///
/// One batch holds at most 10,000 documents or 8 MiB; the connector keeps to this, a store may rely on it.
package struct DocumentBatch: Sendable {
    package static let documentsMax = 10_000
    package static let bytesMax = 8 << 20

    package private(set) var bytes: [UInt8] = []
    /// For document `i`: the key is `bytes[keyStart..<jsonStart]`, the JSON `bytes[jsonStart..<end]`.
    package private(set) var slices: [(keyStart: Int, jsonStart: Int, end: Int)] = []

    package init() {}

    package var count: Int { slices.count }
    package var isEmpty: Bool { slices.isEmpty }

    package mutating func reserve(documents: Int, bytes byteCount: Int) {
        slices.reserveCapacity(documents)
        bytes.reserveCapacity(byteCount)
    }

    /// - Parameters:
    ///   - key: the document's `_key`, at most 254 bytes.
    ///   - json: one JSON object that holds the same `_key`.
    package mutating func append(key: some Collection<UInt8>, json: some Collection<UInt8>) {
        let keyStart = bytes.count
        bytes.append(contentsOf: key)
        let jsonStart = bytes.count
        bytes.append(contentsOf: json)
        slices.append((keyStart, jsonStart, bytes.count))
    }

    package func key(_ index: Int) -> ArraySlice<UInt8> {
        bytes[slices[index].keyStart..<slices[index].jsonStart]
    }
    package func json(_ index: Int) -> ArraySlice<UInt8> {
        bytes[slices[index].jsonStart..<slices[index].end]
    }

    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        slices.removeAll(keepingCapacity: true)
    }
}

/// Documents whose key lies in `first ... last` and that belong to one symbol (and interval).
///
/// The symbol and interval filter guards against stores that compare keys by language rules.
package struct KeyRange: Sendable, Hashable {
    package var first: String
    package var last: String
    package var symbol: String
    /// nil for trades, which have none.
    package var interval: String?

    package init(first: String, last: String, symbol: String, interval: String?) {
        self.first = first
        self.last = last
        self.symbol = symbol
        self.interval = interval
    }
}

/// Why a store call failed.
package struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The store did not answer or is busy: try again.
        case unavailable
        /// Somebody else moved what we compared with.
        case conflict
        /// A higher attempt owns the stream: stop writing.
        case superseded
        /// User or password is wrong, or the user may not do this.
        case denied
        /// The collection or database is not there.
        case notFound
        /// The request itself is wrong: a defect or a bad setting.
        case invalid
        /// The store answered something that cannot be understood.
        case corrupt
    }

    package var code: Code
    /// What we were doing, e.g. `import into btcusdt_api_candles_5m`.
    package var operation: String
    /// What the other side said.
    package var detail: String

    package init(_ code: Code, operation: String, detail: String) {
        self.code = code
        self.operation = operation
        self.detail = detail
    }

    package var isRetriable: Bool { code == .unavailable }
    package var description: String { "\(operation): \(code.rawValue): \(detail)" }
}
