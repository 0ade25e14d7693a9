import BinanceFeed
import KafkaBridge
import Workflow

/// Loads one symbol's records of a source into the instance's own partition.
///
/// It goes on from what the partition holds: whatever an earlier attempt committed is neither read nor
/// written again (design decision 9). The last record is the end marker; once it is there, a load has nothing
/// to do but to tell the counts again.
package struct RecordLoad<Source: RecordSource>: Sendable {
    private let plan: LoadPlan
    private let source: Source
    private let ports: LoadPorts
    private let limits: LoadLimits

    package init(_ plan: LoadPlan, source: Source, ports: LoadPorts, limits: LoadLimits = LoadLimits()) {
        self.plan = plan
        self.source = source
        self.ports = ports
        self.limits = limits
    }

    /// Loads until the end marker is committed, a stop is asked for, or it cannot go on.
    ///
    /// - Returns: the outcome, and what is committed as far as known.
    /// - Throws: `CancellationError`.
    package func run() async throws -> (LoadOutcome, LoadProgress) {
        var progress = LoadProgress()
        var failure = LoadError(.broker, "no round was tried", isRetriable: true)
        for _ in 0..<limits.roundsMax {
            guard try await ports.waitToWrite() else { return (.interrupted, progress) }
            do {
                return (try await round(&progress), progress)
            } catch TransactionWriter.Failure.fenced {
                return (.superseded, progress)
            } catch TransactionWriter.Failure.stopped {
                return (.interrupted, progress)
            } catch TransactionWriter.Failure.producerBroken(let error) {
                failure = LoadError(error)
                guard failure.isRetriable else { break }
            } catch let error as LoadError {
                return (.failed(error), progress)
            } catch let error as FeedError {
                return (.failed(LoadError(error)), progress)
            }
        }
        return (.failed(failure), progress)
    }

    /// One producer's life: fence the older ones, see what is there, go on from it.
    private func round(_ progress: inout LoadProgress) async throws -> LoadOutcome {
        let producer = try await makeProducer()
        do {
            let outcome = try await load(producer, &progress)
            // Everything is acknowledged, so there is nothing to wait for.
            try? await producer.close(timeout: .seconds(1))
            return outcome
        } catch {
            try? await producer.close(timeout: .zero)
            throw error
        }
    }

    private func makeProducer() async throws -> KafkaProducer {
        let producer: KafkaProducer
        do {
            var configuration = KafkaProducerConfiguration(transactionalID: plan.transactionalID)
            configuration.statisticsInterval = KafkaTelemetry.statisticsInterval
            producer = try KafkaProducer(ports.kafka, configuration, observe: ports.observeKafka)
        } catch {
            throw LoadError(error)
        }
        do {
            let error = try await Patience.settle(within: limits.commitWaitMax) { () throws(KafkaError) in
                try await producer.initTransactions(timeout: Patience.slice)
            }
            guard let error else { return producer }
            throw error.isFenced
                ? TransactionWriter.Failure.fenced : TransactionWriter.Failure.producerBroken(error)
        } catch {
            try? await producer.close(timeout: .zero)
            throw error
        }
    }

    private func load(_ producer: KafkaProducer, _ progress: inout LoadProgress) async throws -> LoadOutcome {
        let tail = PartitionTail(
            kafka: ports.kafka, observe: ports.observeKafka, partition: plan.output,
            misfit: { source.misfit($0) }, waitMax: limits.tailWaitMax)
        var last: StoredRecord?
        switch try await tail.read() {
        case .empty:
            progress.lastSeq = 0
            progress.firstKey = nil
            progress.lastKey = nil
        case .record(let record, let seq, let firstKey):
            last = record
            progress.lastSeq = seq
            progress.firstKey = firstKey
            progress.lastKey = record.key
            ports.report(progress)
        case .ended(let marker):
            progress.lastSeq = marker.count
            progress.firstKey = marker.firstKey
            progress.lastKey = marker.lastKey
            return .finished
        }
        let writer = TransactionWriter(producer: producer, output: plan.output, ports: ports, limits: limits)
        return try await load(after: last, writer, &progress)
    }

    private func load(
        after last: StoredRecord?, _ writer: TransactionWriter, _ progress: inout LoadProgress
    ) async throws -> LoadOutcome {
        let buffer = PageBuffer<Source.Page>(pagesMax: limits.pagesWaitingMax)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await source.read(after: last) { page in try await buffer.put(page) }
                    await buffer.end(nil)
                } catch {
                    await buffer.end(error)
                }
            }
            group.addTask {
                await ports.stopRequested()
                await buffer.stop()
            }
            do {
                let outcome = try await write(from: buffer, writer, &progress)
                await buffer.stop()
                group.cancelAll()
                return outcome
            } catch {
                await buffer.stop()
                throw error
            }
        }
    }

    private func write(
        from buffer: PageBuffer<Source.Page>, _ writer: TransactionWriter, _ progress: inout LoadProgress
    ) async throws -> LoadOutcome {
        var batch = LoadBatch(
            plan, key: source.symbol.rawValue, progress: progress, limits: limits)
        while true {
            switch await buffer.take(max: limits.pagesPerTransactionMax) {
            case .pages(let pages, let isLast):
                for page in pages { batch.append(page) }
                if isLast { try batch.appendEndMarker() }
                // A page may hold nothing but a hole.
                guard !batch.records.isEmpty else { continue }
                try await writer.write(batch.records)
                batch.removeAll()
                progress = batch.progress
                ports.report(progress)
                if isLast { return .finished }
            case .failed(let error): throw error
            case .stopped: return .interrupted
            }
        }
    }
}
