internal import CPQ

/// The parameters of one statement in the form libpq takes them: one block of bytes, each value ended by
/// a NUL, with arrays of pointers, lengths and formats beside it.
struct ParameterBlock {
    private var bytes: [CChar] = []
    /// Where each value begins; nil for a null.
    private var offsets: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    /// - Throws: ``PostgresError`` `invalid` when a text holds a NUL, which would end it for libpq, or there
    ///   are more values than the protocol can count.
    init(_ query: PostgresQuery) throws(PostgresError) {
        guard query.parameters.count <= Int(UInt16.max) else {
            throw PostgresError(.invalid, operation: query.operation, message: "more than 65535 parameters")
        }
        for (index, value) in query.parameters.enumerated() {
            let start = bytes.count
            switch value {
            case .null:
                offsets.append(nil)
            case .text(let text):
                offsets.append(start)
                for byte in text.utf8 {
                    guard byte != 0 else {
                        throw PostgresError(
                            .invalid, operation: query.operation,
                            message: "parameter $\(index + 1) holds a NUL")
                    }
                    bytes.append(CChar(bitPattern: byte))
                }
                bytes.append(0)
            case .bytes(let value):
                offsets.append(start)
                bytes.append(contentsOf: value.lazy.map { CChar(bitPattern: $0) })
                bytes.append(0)
            }
            lengths.append(Int32(clamping: max(0, bytes.count - start - 1)))
            if case .bytes = value { formats.append(1) } else { formats.append(0) }
        }
    }

    func send(_ connection: OpaquePointer, prepared name: String) -> Bool {
        withPointers { values in
            PQsendQueryPrepared(connection, name, Int32(offsets.count), values, lengths, formats, 0) == 1
        }
    }

    func send(_ connection: OpaquePointer, sql: String) -> Bool {
        withPointers { values in
            PQsendQueryParams(connection, sql, Int32(offsets.count), nil, values, lengths, formats, 0) == 1
        }
    }

    private func withPointers<R>(_ body: ([UnsafePointer<CChar>?]) -> R) -> R {
        bytes.withUnsafeBufferPointer { buffer in
            // A block without a byte holds nulls only.
            body(offsets.map { offset in offset.flatMap { index in buffer.baseAddress.map { $0 + index } } })
        }
    }
}
