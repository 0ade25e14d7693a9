internal import CPQ

// COPY and texts of several statements: outside of pipeline mode.
extension ConnectionHandle {
    /// The largest piece given to libpq at once: it keeps a copy until the socket has taken it.
    private static let pieceBytesMax = 256 << 10

    /// Runs one text of one or more statements, as one transaction unless it says otherwise.
    ///
    /// - Returns: the result of the last statement.
    func runScript(_ sql: String, operation: String) throws(PostgresError) -> PostgresResult? {
        guard leavePipelineMode(), PQsendQuery(pointer, sql) == 1 else { throw lost(operation) }
        return try finishResults(operation)
    }

    /// Starts `COPY … FROM STDIN`.
    func beginCopy(_ sql: String, operation: String) throws(PostgresError) {
        guard leavePipelineMode(), PQsendQuery(pointer, sql) == 1 else { throw lost(operation) }
        try drive(operation) { () throws(PostgresError) in PQisBusy(pointer) == 0 }
        guard let result = PQgetResult(pointer) else { throw lost(operation) }
        let status = PQresultStatus(result)
        let error = status == PGRES_FATAL_ERROR ? PostgresError(result: result, operation: operation) : nil
        PQclear(result)
        guard status != PGRES_COPY_IN else { return }
        if status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH {
            throw PostgresError(.connectionLost, operation: operation, message: "not a COPY … FROM STDIN")
        }
        try drain(operation)
        throw error ?? PostgresError(.invalid, operation: operation, message: "not a COPY … FROM STDIN")
    }

    /// Sends a piece of a COPY and returns when the socket has taken all of it: that is the back-pressure.
    func sendCopy(_ bytes: [UInt8], operation: String) throws(PostgresError) {
        var sent = 0
        while sent < bytes.count {
            let pieceEnd = min(sent + Self.pieceBytesMax, bytes.count)
            let isTaken = bytes.span.bytes.extracting(sent..<pieceEnd).withUnsafeBytes { piece in
                let start = piece.baseAddress?.assumingMemoryBound(to: CChar.self)
                return PQputCopyData(pointer, start, Int32(piece.count)) == 1
            }
            guard isTaken else { throw lost(operation) }
            sent = pieceEnd
            try drive(operation) { () throws(PostgresError) in
                // A server that has refused a row answers at once; the answer is read at the end.
                PQflush(pointer) == 0 || cancelSignal.isRequested
            }
            if cancelSignal.isRequested {
                throw PostgresError(.cancelled, operation: operation, message: "the task was cancelled")
            }
        }
    }

    /// Ends a COPY.
    ///
    /// - Parameter failure: the reason for giving it up; nothing of it is stored then.
    func endCopy(failure: String?, operation: String) throws(PostgresError) -> Int {
        // 0 only means that the buffer is full; `drive` sends it.
        while PQputCopyEnd(pointer, failure) == 0 {
            try drive(operation) { () throws(PostgresError) in PQflush(pointer) == 0 }
        }
        return try finishResults(operation)?.affectedRows ?? 0
    }

    /// Reads results to the end; throws the first error among them.
    private func finishResults(_ operation: String) throws(PostgresError) -> PostgresResult? {
        var last: PostgresResult?
        var failure: PostgresError?
        while true {
            try drive(operation) { () throws(PostgresError) in PQisBusy(pointer) == 0 }
            guard let result = PQgetResult(pointer) else { break }
            switch PQresultStatus(result) {
            case PGRES_FATAL_ERROR:
                let error = PostgresError(result: result, operation: operation)
                PQclear(result)
                if error.isConnectionLost { throw error }
                failure = failure ?? error
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                PQclear(result)
                throw PostgresError(.connectionLost, operation: operation, message: "COPY needs copyIn")
            default: last = PostgresResult(storage: ResultStorage(result, operation: operation))
            }
        }
        guard var failure else { return last }
        if cancelSignal.isRequested, failure.sqlState == .queryCancelled { failure.code = .cancelled }
        throw failure
    }

    private func drain(_ operation: String) throws(PostgresError) {
        while true {
            try drive(operation) { () throws(PostgresError) in PQisBusy(pointer) == 0 }
            guard let result = PQgetResult(pointer) else { return }
            PQclear(result)
        }
    }
}
