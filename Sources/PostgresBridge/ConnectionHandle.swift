internal import CPQ
internal import Glibc

/// Owns a `PGconn` and drives it with `poll`: every call here blocks the thread it is called on, which is
/// that of the connection's ``QueueExecutor``.
///
/// Not Sendable: only the actor ``PostgresConnection`` holds one.
final class ConnectionHandle {
    let pointer: OpaquePointer
    let cancelSignal: CancelSignal
    /// A server silent for longer is taken for lost; nil: wait for ever.
    var silenceMax: Duration?
    /// Knows the server's process, so it is made once connected.
    private var canceller: OpaquePointer?

    /// How long the server may take to stop a statement after we asked it to.
    private static let cancelGrace = Duration.seconds(5)
    /// A statement of a pipeline may begin after the request hit the one before it: ask again this often.
    private static let cancelInterval = Duration.milliseconds(200)

    private init(_ pointer: OpaquePointer, cancelSignal: CancelSignal) {
        self.pointer = pointer
        self.cancelSignal = cancelSignal
    }

    deinit {
        if let canceller { PQfreeCancel(canceller) }
        PQfinish(pointer)
    }

    /// Connects and sets the connection to non-blocking.
    ///
    /// - Throws: ``PostgresError`` `connectFailed`, or `cancelled`.
    static func connect(
        _ configuration: PostgresConfiguration, cancelSignal: CancelSignal
    ) throws(PostgresError) -> ConnectionHandle {
        let url = configuration.currentURL()
        let operation = "connect to \(url)"
        let options = configuration.connectionOptions(url)
        guard let pointer = startConnect(options) else {
            throw PostgresError(.connectFailed, operation: operation, message: "out of memory")
        }
        // The handle finishes the connection, also when we throw below.
        let handle = ConnectionHandle(pointer, cancelSignal: cancelSignal)
        cpq_ignore_notices(pointer)
        let deadline = ContinuousClock.now + configuration.connectTimeout
        var needed = PGRES_POLLING_WRITING
        while needed != PGRES_POLLING_OK {
            guard needed != PGRES_POLLING_FAILED, PQstatus(pointer) != CONNECTION_BAD else {
                throw handle.connectFailure(operation)
            }
            let events = needed == PGRES_POLLING_READING ? POLLIN : POLLOUT
            let ready = handle.poll(events: Int16(events), limit: ContinuousClock.now.duration(to: deadline))
            if cancelSignal.isRequested {
                throw PostgresError(.cancelled, operation: operation, message: "cancelled while connecting")
            }
            guard ready != 0 else {
                throw PostgresError(
                    .connectFailed, operation: operation,
                    message: "no answer in \(configuration.connectTimeout)")
            }
            needed = PQconnectPoll(pointer)
        }
        guard PQsetnonblocking(pointer, 1) == 0 else { throw handle.connectFailure(operation) }
        handle.silenceMax = configuration.silenceMax
        handle.canceller = PQgetCancel(pointer)
        return handle
    }

    private static func startConnect(_ options: [PostgresURL.Option]) -> OpaquePointer? {
        let keywords = options.map { strdup($0.keyword) }
        let values = options.map { strdup($0.value) }
        defer { for text in keywords + values { free(text) } }
        let keywordList = keywords.map { UnsafePointer($0) } + [nil]
        let valueList = values.map { UnsafePointer($0) } + [nil]
        return PQconnectStartParams(keywordList, valueList, 0)
    }

    /// A login the server refuses has no SQLSTATE in libpq 15: the words tell it, for they are known.
    private func connectFailure(_ operation: String) -> PostgresError {
        var error = PostgresError(.connectFailed, operation: operation, message: errorMessage)
        let known: [(String, SQLState)] = [
            ("password authentication failed", .invalidPassword), ("no password supplied", .invalidPassword),
            ("no pg_hba.conf entry", .invalidAuthorization), ("role \"", .invalidAuthorization),
            ("database \"", .unknownDatabase), ("too many clients", .tooManyConnections),
            ("starting up", .cannotConnectNow), ("shutting down", .cannotConnectNow),
        ]
        error.sqlState = known.first { error.message.contains($0.0) }?.1
        return error
    }

    var processID: Int32 { PQbackendPID(pointer) }
    var isBroken: Bool { PQstatus(pointer) == CONNECTION_BAD }
    var transactionStatus: PGTransactionStatusType { PQtransactionStatus(pointer) }

    /// libpq's last words, in one line.
    var errorMessage: String {
        let lines = String(cString: PQerrorMessage(pointer)).split(separator: "\n")
        return lines.map { $0.drop(while: \.isWhitespace) }.joined(separator: "; ")
    }

    /// Waits for the socket, or for a cancel request where one is still to be seen.
    ///
    /// - Returns: the events that came, 0 when the limit is over or a cancel request came in.
    func poll(events: Int16, limit: Duration?) -> Int16 {
        var descriptors = [
            pollfd(fd: PQsocket(pointer), events: events, revents: 0),
            pollfd(fd: cancelSignal.fileDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        // Rounded up, or the last millisecond would be spent spinning.
        let milliseconds = limit.map { Int32(clamping: max(0, $0.milliseconds + 1)) } ?? -1
        let count = Glibc.poll(&descriptors, 2, milliseconds)
        guard count > 0 else { return 0 }
        if descriptors[1].revents != 0 { cancelSignal.clear() }
        return descriptors[0].revents
    }

    /// Sends what is buffered and takes in what came until `isDone`.
    ///
    /// The task's cancellation asks the server to stop the statement and goes on until it has; whoever
    /// waits sees the statement's own outcome then.
    func drive(_ operation: @autoclosure () -> String, until isDone: () throws(PostgresError) -> Bool)
        throws(PostgresError)
    {
        var lastProgress = ContinuousClock.now
        var cancelledAt: ContinuousClock.Instant?
        while true {
            let unsent = PQflush(pointer)
            if unsent < 0 || isBroken { throw lost(operation()) }
            if try isDone() { return }
            if cancelSignal.isRequested {
                cancelledAt = cancelledAt ?? .now
                try cancelStatement(operation(), since: cancelledAt)
            }
            let events = Int16(POLLIN) | (unsent == 1 ? Int16(POLLOUT) : 0)
            var limit = silenceMax
            if cancelledAt != nil { limit = Self.cancelInterval }
            let ready = poll(events: events, limit: limit)
            if ready != 0 { lastProgress = .now }
            if Int32(ready) & (POLLIN | POLLHUP | POLLERR) != 0, PQconsumeInput(pointer) == 0 {
                throw lost(operation())
            }
            if let silenceMax, lastProgress.duration(to: .now) > silenceMax {
                throw PostgresError(
                    .connectionLost, operation: operation(),
                    message: "the server was silent for \(silenceMax)")
            }
        }
    }

    private func cancelStatement(
        _ operation: String, since start: ContinuousClock.Instant?
    ) throws(PostgresError) {
        if let start, start.duration(to: .now) > Self.cancelGrace {
            throw PostgresError(
                .connectionLost, operation: operation, message: "cancelled, but the server did not stop")
        }
        var message = [CChar](repeating: 0, count: 256)
        // A failed request shows as a statement that goes on; the grace period above ends the wait.
        if let canceller { PQcancel(canceller, &message, Int32(message.count)) }
    }

    /// The error for a broken connection: the server's last FATAL message if it sent one.
    func lost(_ operation: String) -> PostgresError {
        var found: PostgresError?
        // What came before the end of the stream is still there; two more calls end a pipeline's entry.
        for _ in 0..<4 where found == nil {
            guard let result = PQgetResult(pointer) else { continue }
            if PQresultStatus(result) == PGRES_FATAL_ERROR {
                let error = PostgresError(result: result, operation: operation)
                if error.sqlState != nil { found = error }
            }
            PQclear(result)
        }
        var error = found ?? PostgresError(.connectionLost, operation: operation, message: errorMessage)
        error.code = .connectionLost
        return error
    }
}

extension PostgresError {
    /// Reads a failed result; does not free it.
    init(result: OpaquePointer, operation: String) {
        func field(_ code: Int32) -> String {
            PQresultErrorField(result, code).map { String(cString: $0) } ?? ""
        }
        let state = field(DiagnosticField.sqlState)
        let primary = field(DiagnosticField.message)
        self.init(
            .server, operation: operation,
            message: primary.isEmpty ? String(cString: PQresultErrorMessage(result)) : primary,
            sqlState: state.isEmpty ? nil : SQLState(state))
        severity = field(DiagnosticField.severity)
        detail = field(DiagnosticField.detail)
        hint = field(DiagnosticField.hint)
        constraint = field(DiagnosticField.constraint)
        if sqlState == nil || isConnectionLost { code = .connectionLost }
        if sqlState == .queryCancelled { code = .timedOut }
    }
}

/// libpq's `PG_DIAG_*`: character constants, which Swift does not import as numbers.
private enum DiagnosticField {
    static let severity = Int32(UInt8(ascii: "V"))
    static let sqlState = Int32(UInt8(ascii: "C"))
    static let message = Int32(UInt8(ascii: "M"))
    static let detail = Int32(UInt8(ascii: "D"))
    static let hint = Int32(UInt8(ascii: "H"))
    static let constraint = Int32(UInt8(ascii: "n"))
}
