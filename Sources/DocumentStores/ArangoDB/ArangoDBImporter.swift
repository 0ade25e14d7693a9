import Foundation
import Workflow

/// Writes a batch by `POST /_api/import` and finds out what became of every document.
///
/// The import answers with counters and a text per failed line. The line numbers in these texts are not those
/// of the request once lines of different kinds fail, so a failed document is found by its key, and where
/// that is not certain by importing halves until it stands alone: repeating an import is harmless.
struct ArangoDBImporter {
    private struct Counters: Decodable {
        var created: Int
        var errors: Int
        var empty: Int
        var updated: Int
        var ignored: Int
        var details: [String]?
    }

    private struct FailedLine {
        var index: Int
        var reason: String
    }

    let connection: ArangoDBConnection
    let collection: CollectionName
    let mode: WriteMode

    private var operation: String { "import into \(collection)" }

    func write(_ batch: DocumentBatch) async throws(StoreError) -> WriteOutcome {
        var created = 0
        var refused: [RefusedDocument] = []
        var open: [Int] = []
        for index in 0..<batch.count {
            if batch.json(index).allSatisfy({ $0 <= 0x20 }) {
                // The server would skip the line without a word.
                refused.append(RefusedDocument(index: index, reason: "the document is empty"))
            } else {
                open.append(index)
            }
        }
        var attempt = 1
        while !open.isEmpty {
            let failed = try await importLines(open, of: batch, created: &created)
            refused += failed.filter { Self.isFinal($0.reason) }
                .map { RefusedDocument(index: $0.index, reason: $0.reason) }
            let transient = failed.filter { !Self.isFinal($0.reason) }
            open = transient.map(\.index)
            guard let first = transient.first else { break }
            guard attempt < connection.settings.retry.attemptMax,
                (try? await Task.sleep(for: connection.settings.retry.pause(after: attempt))) != nil
            else {
                throw StoreError(
                    .unavailable, operation: operation,
                    detail: "\(open.count) documents failed: \(first.reason)")
            }
            attempt += 1
        }
        refused.sort { $0.index < $1.index }
        return WriteOutcome(
            created: created, existing: batch.count - created - refused.count, refused: refused, progress: nil
        )
    }

    /// Imports lines and returns those that failed.
    private func importLines(
        _ lines: [Int], of batch: DocumentBatch, created: inout Int
    ) async throws(StoreError) -> [FailedLine] {
        var failed: [FailedLine] = []
        var parts = [lines[...]]
        while let part = parts.popLast() {
            let counters = try await send(part, of: batch)
            created += counters.created
            guard counters.errors > 0 else { continue }
            let details = counters.details ?? []
            if let located = Self.locate(details, count: counters.errors, in: part, of: batch) {
                failed += located
            } else if part.count == 1 {
                failed.append(
                    FailedLine(index: part[part.startIndex], reason: details.first ?? "no reason given"))
            } else {
                let middle = part.startIndex + part.count / 2
                parts.append(part[middle...])
                parts.append(part[..<middle])
            }
        }
        return failed
    }

    private func send(_ part: ArraySlice<Int>, of batch: DocumentBatch) async throws(StoreError) -> Counters {
        var call = ArangoDBCall(.post, "/_api/import", operation: operation)
            .query("collection", collection.rawValue)
            .query("type", "documents")
            .query("onDuplicate", mode == .upsert ? "replace" : "ignore")
            .query("details", "true")
            .query("waitForSync", "true")
        call.body = Self.body(part, of: batch)
        let counters = try await connection.send(call).decode(Counters.self, operation)
        let sum = counters.created + counters.ignored + counters.updated + counters.errors
        guard sum == part.count, counters.empty == 0 else {
            throw StoreError(
                .corrupt, operation: operation,
                detail: "the counters \(counters) do not add up to \(part.count) documents")
        }
        return counters
    }

    private static func body(_ part: ArraySlice<Int>, of batch: DocumentBatch) -> [UInt8] {
        let lineFeed = UInt8(ascii: "\n")
        var body: [UInt8] = []
        body.reserveCapacity(batch.bytes.count + part.count)
        // In JSON a raw line feed is only white space between tokens, and here it would cut the document.
        let mustClean = batch.bytes.contains(lineFeed)
        for index in part {
            let json = batch.json(index)
            if mustClean {
                body.append(contentsOf: json.lazy.map { $0 == lineFeed ? UInt8(ascii: " ") : $0 })
            } else {
                body.append(contentsOf: json)
            }
            body.append(lineFeed)
        }
        return body
    }

    /// The failed lines by the keys in the server's texts; nil when that leaves a doubt.
    private static func locate(
        _ details: [String], count: Int, in part: ArraySlice<Int>, of batch: DocumentBatch
    ) -> [FailedLine]? {
        guard details.count == count else { return nil }
        var reasonsByKey: [String: [String]] = [:]
        for detail in details {
            guard let key = offendingKey(detail) else { return nil }
            reasonsByKey[key, default: []].append(detail)
        }
        var failed: [FailedLine] = []
        for index in part {
            guard let reasons = reasonsByKey[String(decoding: batch.key(index), as: UTF8.self)] else {
                continue
            }
            failed.append(FailedLine(index: index, reason: reasons[0]))
        }
        // A key that is twice in the batch and failed once is such a doubt.
        return failed.count == count ? failed : nil
    }

    /// The key in `… offending document: {"_key":"abc",…`, which the server cuts off after 255 bytes.
    static func offendingKey(_ detail: String) -> String? {
        let start = "offending document: {\"_key\":"
        guard let range = detail.firstRange(of: start) else { return nil }
        let rest = detail[range.upperBound...]
        guard rest.first == "\"" else { return nil }
        var isEscaped = false
        for index in rest.indices.dropFirst() {
            if isEscaped {
                isEscaped = false
            } else if rest[index] == "\\" {
                isEscaped = true
            } else if rest[index] == "\"" {
                return try? JSONDecoder().decode(String.self, from: Data(rest[...index].utf8))
            }
        }
        return nil
    }

    /// Whether a document will fail again. What we do not know may be a full disk: it is tried again, and if
    /// it stays the write fails as a whole, rather than giving good documents away.
    static func isFinal(_ detail: String) -> Bool {
        let reason = detail.firstRange(of: "offending").map { String(detail[..<$0.lowerBound]) } ?? detail
        return finalReasons.contains { reason.contains($0) }
    }

    /// Message texts of server 3.12 (its error table, numbers 1210, 1221, 1222, 1226, 1227, 1233, 1620), and
    /// of the import itself for lines that are no JSON object or no edge.
    private static let finalReasons = [
        "unique constraint violated", "illegal document key", "unexpected document key",
        "missing document key",
        "invalid document type", "expecting both `_from` and `_to`", "schema validation failed",
        "invalid JSON", "expecting object", "missing '_from' or '_to'",
    ]
}
