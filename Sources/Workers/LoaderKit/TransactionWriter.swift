import KafkaBridge
import ServiceRuntime

/// Writes batches to one partition, each in a transaction of its own.
///
/// A transaction is opened with all its records at hand and waits for nothing but the broker.
struct TransactionWriter: Sendable {
    /// Why a batch was not written, or why it is not known whether it was.
    enum Failure: Error, Sendable {
        /// A newer producer has taken over.
        case fenced
        /// A stop was requested before the transaction was begun.
        case stopped
        /// This producer is of no more use. What it committed last is for a new one to find out.
        case producerBroken(KafkaError)
    }

    let producer: KafkaProducer
    let output: TopicPartition
    let ports: LoadPorts
    let limits: LoadLimits

    /// Writes all of `batch`, or nothing of it.
    ///
    /// - Throws: ``Failure``; `CancellationError`.
    func write(_ batch: RecordBatch) async throws {
        var failure: KafkaError?
        var tries = 0
        while tries < limits.transactionTriesMax {
            guard try await ports.waitToWrite() else { throw Failure.stopped }
            do {
                if try await transact(batch) { return }
                // The lease ran low meanwhile: no try was used up, the wait above is the pause.
            } catch let error as KafkaError {
                if error.isFenced { throw Failure.fenced }
                if Task.isCancelled { throw CancellationError() }
                tries += 1
                failure = error
                guard !error.isFatal else { break }
                try await abort()
                try await Task.sleep(for: Self.pause(afterTry: tries))
            }
        }
        throw Failure.producerBroken(
            failure ?? KafkaError(.invalidState, operation: "write a transaction", detail: "no try was left"))
    }

    /// - Returns: false when the attempt may not write any more; the transaction is then aborted.
    private func transact(_ batch: RecordBatch) async throws -> Bool {
        try await producer.beginTransaction()
        ports.crashPoints.reach(.beforeProduce)
        let receipt = try await producer.enqueue(batch, to: output.topic, partition: output.partition)
        // Sends at once what would wait for more records.
        let error = try await settle { () throws(KafkaError) in try await producer.flush(timeout: Self.slice)
        }
        if let error { throw error }
        _ = try await receipt.value
        ports.crashPoints.reach(.afterProduce)
        guard ports.mayWrite() else {
            try await abort()
            return false
        }
        ports.crashPoints.reach(.beforeTransactionCommit)
        try await commit()
        ports.crashPoints.reach(.afterTransactionCommit)
        return true
    }

    /// Commits, asking again while the answer is out.
    ///
    /// - Throws: `KafkaError` that requires an abort; ``Failure`` when the outcome stays unknown.
    private func commit() async throws {
        let error = try await settle { () throws(KafkaError) in
            try await producer.commitTransaction(timeout: Self.slice)
        }
        guard let error else { return }
        if error.isFenced || error.requiresAbort { throw error }
        throw Failure.producerBroken(error)
    }

    private func abort() async throws {
        let error = try await settle { () throws(KafkaError) in
            try await producer.abortTransaction(timeout: Self.slice)
        }
        guard let error else { return }
        throw error.isFenced ? Failure.fenced : Failure.producerBroken(error)
    }

    private func settle(_ call: () async throws(KafkaError) -> Void) async throws -> KafkaError? {
        try await Patience.settle(within: limits.commitWaitMax, call)
    }

    private static let slice = Patience.slice

    private static func pause(afterTry number: Int) -> Duration {
        .milliseconds(100) * (1 << min(number - 1, 5))
    }
}
