import Crypto
import Workflow

/// The progress of streams: a document each in the collection `streamforge_streams`, moved by
/// compare-and-set on the document's revision.
struct ArangoDBStreams: Sendable {
    static let collection = "streamforge_streams"
    /// A compare-and-set that lost this often has met somebody who never stops: give up as `conflict`.
    private static let raceMax = 20

    private typealias ErrorNumber = ArangoDBAnswer.ErrorNumber

    /// Progress as stored, and the revision it had.
    struct Position: Sendable {
        var progress: StreamProgress
        var revision: String
    }

    private struct Document: Codable {
        var key: String
        var revision: String?
        /// For people who look: the key is an encoding of it.
        var stream: String
        var progress: StreamProgress

        enum CodingKeys: String, CodingKey {
            case key = "_key"
            case revision = "_rev"
            case stream, progress
        }
    }

    let connection: ArangoDBConnection
    let schema: ArangoDBSchema

    func claim(_ stream: StreamName, attempt: Int) async throws(StoreError) -> StreamProgress {
        let operation = "claim stream \(stream.rawValue)"
        for _ in 0..<Self.raceMax {
            guard let position = try await read(stream, operation) else {
                let first = StreamProgress(attempt: attempt)
                if try await create(stream, first, operation) { return first }
                continue
            }
            if position.progress.attempt > attempt { throw superseded(by: position.progress, operation) }
            if position.progress.attempt == attempt { return position.progress }
            var claimed = position.progress
            claimed.attempt = attempt
            if try await replace(stream, position, claimed, operation) { return claimed }
        }
        throw StoreError(.conflict, operation: operation, detail: "others change it all the time")
    }

    /// The stored position, which is what `advance` says it is.
    func check(_ advance: StreamAdvance) async throws(StoreError) -> Position {
        let operation = "look up stream \(advance.stream.rawValue)"
        guard let position = try await read(advance.stream, operation) else {
            throw StoreError(.conflict, operation: operation, detail: "nobody has claimed it")
        }
        guard position.progress == advance.from else {
            throw mismatch(position.progress, advance.from, operation)
        }
        return position
    }

    func move(_ stream: StreamName, from position: Position, to next: StreamProgress) async throws(StoreError)
    {
        let operation = "move stream \(stream.rawValue) to offset \(next.nextOffset)"
        if try await replace(stream, position, next, operation) { return }
        // Either somebody else was there, or our own earlier try was applied and its answer lost.
        let stored = try await read(stream, operation)?.progress ?? StreamProgress()
        guard stored == next else { throw mismatch(stored, position.progress, operation) }
    }

    private func read(_ stream: StreamName, _ operation: String) async throws(StoreError) -> Position? {
        let call = ArangoDBCall(.get, path(stream), operation: operation)
        let answer = try await connection.send(
            call,
            accepting: [
                ErrorNumber.documentNotFound, ErrorNumber.collectionNotFound, ErrorNumber.databaseNotFound,
            ])
        guard answer.isSuccess else { return nil }
        let document = try answer.decode(Document.self, operation)
        guard document.stream == stream.rawValue, let revision = document.revision else {
            throw StoreError(
                .corrupt, operation: operation, detail: "the stored document is of another stream")
        }
        return Position(progress: document.progress, revision: revision)
    }

    /// False when somebody else created it first.
    private func create(
        _ stream: StreamName, _ progress: StreamProgress, _ operation: String
    ) async throws(StoreError) -> Bool {
        let call = try ArangoDBCall(.post, "/_api/document/\(Self.collection)", operation: operation)
            .query("waitForSync", "true")
            .json(Document(key: Self.key(stream), stream: stream.rawValue, progress: progress))
        let answer = try await connection.send(
            call,
            accepting: [
                ErrorNumber.uniqueConstraintViolated, ErrorNumber.collectionNotFound,
                ErrorNumber.databaseNotFound,
            ])
        switch answer.errorNumber {
        case nil: return true
        case ErrorNumber.uniqueConstraintViolated: return false
        default:
            try await schema.ensureCollection(Self.collection, indexes: [])
            return false
        }
    }

    /// False when the revision is another by now.
    private func replace(
        _ stream: StreamName, _ position: Position, _ progress: StreamProgress, _ operation: String
    ) async throws(StoreError) -> Bool {
        var call = try ArangoDBCall(.put, path(stream), operation: operation)
            .query("waitForSync", "true")
            .json(Document(key: Self.key(stream), stream: stream.rawValue, progress: progress))
        call.headers["If-Match"] = "\"\(position.revision)\""
        let answer = try await connection.send(call, accepting: [ErrorNumber.conflict])
        return answer.isSuccess
    }

    private func path(_ stream: StreamName) -> String {
        "/_api/document/\(Self.collection)/\(percentEncoded(Self.key(stream)))"
    }

    private func superseded(by progress: StreamProgress, _ operation: String) -> StoreError {
        StoreError(.superseded, operation: operation, detail: "attempt \(progress.attempt) owns it")
    }

    private func mismatch(
        _ stored: StreamProgress, _ expected: StreamProgress, _ operation: String
    ) -> StoreError {
        if stored.attempt > expected.attempt { return superseded(by: stored, operation) }
        return StoreError(
            .conflict, operation: operation, detail: "stored is \(stored), expected \(expected)")
    }

    /// A legal `_key` that differs for every stream: `/` becomes `@`, other bytes that a key or a path cannot
    /// hold become `=` and two digits; a longer one than 254 bytes ends in its hash.
    static func key(_ stream: StreamName) -> String {
        var key = ""
        for byte in stream.rawValue.utf8 {
            switch byte {
            case UInt8(ascii: "/"): key += "@"
            case _ where byte.isASCIILetterOrDigit || "._-".utf8.contains(byte):
                key.unicodeScalars.append(Unicode.Scalar(byte))
            default: key += "=" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        guard key.utf8.count > 254 else { return key }
        let hash = SHA256.hash(data: Array(key.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return key.prefix(180) + "(" + hash.joined() + ")"
    }
}
