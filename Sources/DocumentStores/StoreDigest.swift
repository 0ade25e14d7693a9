import MarketData
import Workflow

extension DocumentStore {
    /// Digests the stored documents of a range, so that a store can be compared with the source or with
    /// another store (``RangeDigest``).
    ///
    /// - Throws: ``StoreError``, or ``RangeDigestError`` when a document lacks a field or has no text for it.
    package func digest(
        of collection: CollectionName, range: KeyRange, shape: RecordShape, pageDocumentsMax: Int = 5_000
    ) async throws -> RangeDigest {
        var digester = RangeDigester(shape: shape)
        try await scan(collection, range: range, pageDocumentsMax: pageDocumentsMax) { page in
            for document in page {
                guard let members = JSONText(document)?.members else {
                    throw StoreError(
                        .corrupt, operation: "digest \(collection)", detail: "a document is no JSON object")
                }
                var values: [String: String] = [:]
                for member in members { values[member.name] = member.value.scalar }
                try digester.add(key: values["_key"] ?? "", values: shape.fields.map { values[$0.name] })
            }
        }
        return digester.finish()
    }
}
