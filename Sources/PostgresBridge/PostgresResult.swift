internal import CPQ

/// What a statement gave back.
///
/// The rows stay in libpq's memory until the last reference to the result or one of its rows is gone.
package struct PostgresResult: Sendable, RandomAccessCollection {
    let storage: ResultStorage

    package var startIndex: Int { 0 }
    package var endIndex: Int { storage.rowCount }

    package subscript(index: Int) -> PostgresRow {
        precondition(indices.contains(index), "row out of range")
        return PostgresRow(storage: storage, index: index)
    }

    /// The column names in their order.
    package var columns: [String] { storage.columns }

    /// Rows written or read, as the server counts them: 0 for a statement that has no such count.
    package var affectedRows: Int { storage.affectedRows }

    /// What was done, e.g. `INSERT 0 3` or `COMMIT`.
    package var commandTag: String { storage.commandTag }
}

/// One row of a ``PostgresResult``.
package struct PostgresRow: Sendable {
    let storage: ResultStorage
    let index: Int

    /// Reads a column by name.
    ///
    /// - Throws: ``PostgresError`` `decoding` when there is no such column, it is null and `Value` is not
    ///   an Optional, or its text is not of that type.
    package subscript<Value: PostgresDecodable>(
        name: String, as type: Value.Type
    ) -> Value {
        get throws(PostgresError) {
            guard let column = storage.columnIndices[name] else {
                throw storage.error("no column \(name) among \(storage.columns.joined(separator: ", "))")
            }
            return try self[column, as: type]
        }
    }

    /// Reads a column by position, from 0.
    package subscript<Value: PostgresDecodable>(column: Int, as type: Value.Type) -> Value {
        get throws(PostgresError) {
            guard storage.columns.indices.contains(column) else { throw storage.error("no column \(column)") }
            guard let value = storage.withText(row: index, column: column, Value.decodePostgres) else {
                throw storage.error("column \(storage.columns[column]) is not a \(Value.self)")
            }
            return value
        }
    }

    /// The column's text as bytes, without a copy; nil when it is null.
    package func withBytes<R>(_ column: Int, _ body: (UnsafeBufferPointer<UInt8>?) -> R) -> R {
        precondition(storage.columns.indices.contains(column), "column out of range")
        return storage.withText(row: index, column: column, body)
    }
}

/// Owns a `PGresult`.
///
/// `@unchecked Sendable`: a finished result is never changed, and libpq allows reading one from any thread.
final class ResultStorage: @unchecked Sendable {
    private let result: OpaquePointer
    /// Told by errors only; to cut it out of the statement for every result would cost more than reading it.
    private let describe: @Sendable () -> String
    let rowCount: Int
    let columns: [String]
    let columnIndices: [String: Int]

    init(_ result: OpaquePointer, operation: @escaping @autoclosure @Sendable () -> String) {
        self.result = result
        describe = operation
        rowCount = Int(PQntuples(result))
        columns = (0..<PQnfields(result)).map { String(cString: PQfname(result, $0)) }
        // The first of two columns of one name wins.
        columnIndices = Dictionary(zip(columns, columns.indices), uniquingKeysWith: { first, _ in first })
    }

    deinit { PQclear(result) }

    var operation: String { describe() }
    var affectedRows: Int { Int(String(cString: PQcmdTuples(result))) ?? 0 }
    var commandTag: String { String(cString: PQcmdStatus(result)) }

    func withText<R>(row: Int, column: Int, _ body: (UnsafeBufferPointer<UInt8>?) -> R) -> R {
        let (row, column) = (Int32(row), Int32(column))
        guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else {
            return body(nil)
        }
        let bytes = UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(result, row, column)))
        return bytes.withMemoryRebound(to: UInt8.self) { body($0) }
    }

    func error(_ message: String) -> PostgresError {
        PostgresError(.decoding, operation: operation, message: message)
    }
}
