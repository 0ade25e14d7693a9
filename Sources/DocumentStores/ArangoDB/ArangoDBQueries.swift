import Foundation
import Workflow

/// Reads ranges by AQL. Values travel as bind parameters only.
///
/// AQL compares strings by language rules, so a key range alone would let in keys of other symbols; within
/// one symbol and interval keys differ by digits only, where all rules agree.
struct ArangoDBQueries {
    let connection: ArangoDBConnection
    let collection: CollectionName

    private struct Cursor: Encodable {
        var query: String
        var bindVars: [String: BindValue]
        var batchSize: Int
        /// Keeps the last batch, so that asking for it again is harmless.
        var options = ["allowRetry": true]
    }

    enum BindValue: Encodable {
        case text(String)
        case number(Int64)

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .number(let number): try container.encode(number)
            }
        }
    }

    private struct CursorHead: Decodable {
        var hasMore: Bool
        var id: String?
        var nextBatchId: String?
    }

    func count(_ range: KeyRange) async throws(StoreError) -> Int64 {
        let query =
            "FOR d IN @@collection " + Self.filter(range, lowerBound: ">=")
            + " COLLECT WITH COUNT INTO n RETURN n"
        let results = try await run(
            query, bindVars(range, after: nil), batchSize: 1, "count in \(collection)")
        guard results.count == 1, let count = Int64(String(decoding: results[0], as: UTF8.self)) else {
            throw StoreError(.corrupt, operation: "count in \(collection)", detail: "the answer is no number")
        }
        return count
    }

    /// The next documents in key order.
    ///
    /// Each page is a query of its own, so nothing on the server expires while a reader takes its time.
    func page(
        _ range: KeyRange, after lastKey: String?, documentsMax: Int
    ) async throws(StoreError) -> [(key: String, json: [UInt8])] {
        precondition(documentsMax > 0, "a page holds at least one document")
        let operation = "scan \(collection)"
        let query =
            "FOR d IN @@collection " + Self.filter(range, lowerBound: lastKey == nil ? ">=" : ">")
            + " SORT d._key LIMIT @limit RETURN UNSET(d, \"_id\", \"_rev\")"
        var values = bindVars(range, after: lastKey)
        values["limit"] = .number(Int64(documentsMax))
        let results = try await run(query, values, batchSize: documentsMax, operation)
        var page: [(key: String, json: [UInt8])] = []
        page.reserveCapacity(results.count)
        for json in results {
            guard let key = JSONText(json)?.members?.first(where: { $0.name == "_key" })?.value.text else {
                throw StoreError(.corrupt, operation: operation, detail: "a document has no _key")
            }
            page.append((key, json))
        }
        return page
    }

    private static func filter(_ range: KeyRange, lowerBound: String) -> String {
        "FILTER d._key \(lowerBound) @first AND d._key <= @last AND d.symbol == @symbol"
            + (range.interval == nil ? "" : " AND d.interval == @interval")
    }

    private func bindVars(_ range: KeyRange, after lastKey: String?) -> [String: BindValue] {
        var values: [String: BindValue] = [
            "@collection": .text(collection.rawValue), "first": .text(lastKey ?? range.first),
            "last": .text(range.last), "symbol": .text(range.symbol),
        ]
        if let interval = range.interval { values["interval"] = .text(interval) }
        return values
    }

    /// Runs a query and collects all batches of its cursor, one JSON text a result.
    func run(
        _ query: String, _ values: [String: BindValue], batchSize: Int, _ operation: String
    ) async throws(StoreError) -> [[UInt8]] {
        let call = try ArangoDBCall(.post, "/_api/cursor", operation: operation)
            .json(Cursor(query: query, bindVars: values, batchSize: batchSize))
        var answer = try await connection.send(call)
        var results: [[UInt8]] = []
        while true {
            guard let members = JSONText(answer.response.body)?.members,
                let batch = members.first(where: { $0.name == "result" })?.value.elements
            else { throw StoreError(.corrupt, operation: operation, detail: "the answer has no result") }
            results += batch.map { Array($0.bytes) }
            let head = try answer.decode(CursorHead.self, operation)
            guard head.hasMore else { return results }
            guard let id = head.id, let batch = head.nextBatchId else {
                throw StoreError(
                    .corrupt, operation: operation, detail: "a cursor that has more has no next batch")
            }
            let next = "/_api/cursor/\(percentEncoded(id))/\(percentEncoded(batch))"
            answer = try await connection.send(ArangoDBCall(.post, next, operation: operation))
        }
    }
}
