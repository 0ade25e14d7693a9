/// Where files of a run come to rest, models above all: an S3 bucket or a folder behind one port.
///
/// Every implementation passes the same contract suite (`Tests/ObjectStoresTests`). All calls are safe to repeat.
package protocol ObjectStore: Sendable {
    /// Stores an object; one of that key is replaced.
    ///
    /// A reader sees all of it or, until this returns, what was there before. When this fails nothing of it stays
    /// visible; what may remain invisibly is removed by ``discardUnfinished(under:)``.
    ///
    /// - Throws: ``ObjectStoreError``.
    @discardableResult
    func put(_ key: ObjectKey, _ content: ObjectContent) async throws(ObjectStoreError) -> ObjectInfo

    /// Passes the bytes of an object to `body`, in order and in pieces of at most a few MiB; while it runs, no more
    /// is fetched than a bounded buffer holds.
    ///
    /// - Parameter range: the bytes wanted, within the object; nil for all.
    /// - Throws: ``ObjectStoreError``: `notFound`, `corrupt` when the object changes meanwhile; what `body` throws.
    func get(
        _ key: ObjectKey, range: Range<Int64>?, body: @Sendable ([UInt8]) async throws -> Void
    ) async throws

    /// nil when there is no such object.
    func info(_ key: ObjectKey) async throws(ObjectStoreError) -> ObjectInfo?

    /// Passes the objects whose keys begin with `prefix` to `body`, by rising key (bytes), a page of at most 1,000 at
    /// a time. What is put or deleted meanwhile may be among them or not.
    func list(
        _ prefix: ObjectPrefix, body: @Sendable ([ObjectInfo]) async throws -> Void
    ) async throws

    /// Removes an object; one that is not there is fine.
    func delete(_ key: ObjectKey) async throws(ObjectStoreError)

    /// Removes what writers that are gone left under `prefix` without finishing it. A write under way there fails.
    func discardUnfinished(under prefix: ObjectPrefix) async throws(ObjectStoreError)

    /// Whether the store is there and lets us in; used by readiness probes and at the start of a worker.
    func check() async throws(ObjectStoreError)

    /// Ends connections.
    func close() async
}

/// What is known of a stored object.
package struct ObjectInfo: Sendable, Hashable {
    package var key: ObjectKey
    package var byteCount: Int64

    package init(key: ObjectKey, byteCount: Int64) {
        self.key = key
        self.byteCount = byteCount
    }
}

/// The bytes of an object to be stored, read in pieces, some of them more than once.
package struct ObjectContent: Sendable {
    package var byteCount: Int64
    /// E.g. `application/json`; a folder does not keep it.
    package var mediaType: String
    /// The bytes of a range within the content. What it throws ends the put with `invalid`.
    package var read: @Sendable (Range<Int64>) async throws -> [UInt8]

    package init(
        byteCount: Int64, mediaType: String, read: @escaping @Sendable (Range<Int64>) async throws -> [UInt8]
    ) {
        self.byteCount = byteCount
        self.mediaType = mediaType
        self.read = read
    }

    package init(_ bytes: [UInt8], mediaType: String) {
        self.init(byteCount: Int64(bytes.count), mediaType: mediaType) { range in
            Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        }
    }
}

/// Why an object store did not do what was asked.
package struct ObjectStoreError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// No answer, a cut connection, an error of the server's own: retriable.
        case unavailable
        /// There is no room left.
        case full
        /// The server does not know the access key, the secret is wrong, or both may not do this.
        case refused
        /// The bucket or the folder is not there.
        case noContainer
        case notFound
        /// A higher attempt has published already.
        case superseded
        /// What came is not what was stored.
        case corrupt
        /// The object or a setting cannot be as it is.
        case invalid
    }

    package var code: Code
    /// What was being done, e.g. `put models/a/model.json`.
    package var operation: String
    /// What was wrong and, where it is a setting, which; never a secret.
    package var detail: String

    package init(_ code: Code, operation: String, detail: String) {
        self.code = code
        self.operation = operation
        self.detail = detail
    }

    /// Whether the same may succeed later, in another attempt of the step. A full disk may have been cleared by then.
    package var isRetriable: Bool { code == .unavailable || code == .full || code == .corrupt }

    package var description: String { "\(operation): \(code.rawValue): \(detail)" }
}
