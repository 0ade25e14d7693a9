internal import CRdkafka

/// Transactions. `isFenced` on an error: a newer producer has the id, this one ends. `requiresAbort`: abort,
/// then do the transaction again. `isRetriable`: make the same call again; librdkafka goes on where it was.
extension KafkaProducer {
    /// Fences older producers of the same id and aborts what they left open. Once, before the first
    /// transaction.
    package func initTransactions(timeout: Duration = .seconds(30)) throws(KafkaError) {
        let core = try openCore(for: "initialise transactions")
        try check(
            rd_kafka_init_transactions(core.client, timeout.milliseconds), core, "initialise transactions")
    }

    /// Opens a transaction: local, no request is made. Open it only when its records are at hand.
    package func beginTransaction() throws(KafkaError) {
        let core = try openCore(for: "begin a transaction")
        try check(rd_kafka_begin_transaction(core.client), core, "begin a transaction")
    }

    /// Waits for all records of the transaction and makes them visible together.
    ///
    /// - Throws: `timedOut` with `isRetriable`: the outcome is open, call again to learn it.
    package func commitTransaction(timeout: Duration = .seconds(30)) throws(KafkaError) {
        let core = try openCore(for: "commit the transaction")
        try check(
            rd_kafka_commit_transaction(core.client, timeout.milliseconds), core, "commit the transaction")
    }

    /// Takes the transaction's records back; receipts still open fail with `withdrawn`.
    package func abortTransaction(timeout: Duration = .seconds(30)) throws(KafkaError) {
        let core = try openCore(for: "abort the transaction")
        try check(
            rd_kafka_abort_transaction(core.client, timeout.milliseconds), core, "abort the transaction")
    }

    private func check(
        _ error: OpaquePointer?, _ core: ClientCore, _ operation: String
    ) throws(KafkaError) {
        guard var error = KafkaError(taking: error, operation: operation) else { return }
        if error.isFatal, !error.isFenced {
            // A fatal error may hide that the fatal cause was a fence.
            let cause = core.error(RD_KAFKA_RESP_ERR__FATAL, operation: operation)
            if cause.isFenced {
                error.code = .fenced
                error.name = cause.name
            }
        }
        throw error
    }
}
