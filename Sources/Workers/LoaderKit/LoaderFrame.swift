import BinanceFeed
import HTTPBridge
import KafkaBridge
import ServiceRuntime
import WorkerKit
import Workflow

/// A loader kind around its source: budget, exchange and partition by the settings, and what became of the load.
package struct LoaderFrame: Sendable {
    private let context: WorkerContext
    private let noun: RecordNoun
    private let configuration: BinanceFeed.Configuration
    private let requestWeightMax: Int

    /// - Parameters:
    ///   - requestWeightMax: of the dearest request of this kind.
    ///   - configure: sets the weights.
    package init(
        _ context: WorkerContext, _ noun: RecordNoun, requestWeightMax: Int,
        configure: (inout BinanceFeed.Configuration) -> Void
    ) {
        var configuration = BinanceFeed.Configuration()
        configuration.pageRowsMax = context.settings[ExchangeSettings.pageRowsMax]
        configuration.source =
            switch context.settings[ExchangeSettings.source] {
            case .rest: .rest
            case .archive: .archive
            case .auto: .auto
            }
        configuration.archiveURL = context.settings[ExchangeSettings.archiveURL]
        configuration.archiveFolder = context.settings[ExchangeSettings.archiveFolder]
        configuration.archiveBytesMax = context.settings[ExchangeSettings.archiveBytesMax]
        configuration.userAgent = "streamforge/\(context.identity.producerID)"
        configure(&configuration)
        self.context = context
        self.noun = noun
        self.configuration = configuration
        self.requestWeightMax = requestWeightMax
    }

    /// Loads what `makeSource` reads from the exchange.
    ///
    /// - Parameter missing: how many records the exchange lacks in the whole range, by what was loaded.
    package func run<Source: RecordSource>(
        _ makeSource: (BinanceFeed) -> Source, missing: (LoadProgress) -> Int64
    ) async throws -> WorkerOutcome {
        guard let partition = context.settings[WorkerSettings.partitions].first else {
            throw WorkerFailure(.final, "KAFKA_PARTITIONS names no partition")
        }
        let identity = context.identity
        let plan = LoadPlan(
            output: TopicPartition(context.settings[WorkerSettings.topic], partition),
            transactionalID: DerivedName.transactionalID(identity.queueID, identity.instance),
            attempt: identity.attempt, traceparent: context.traceparent?.description)
        let observer = LoaderObserver(context, noun: noun)
        let meter = ExchangeMeter(observer: observer, noun: noun) { [context] counts, message, extra in
            context.loading(counts, message: message, extra: extra)
        }
        let budget = try await LoaderBudget.make(context, requestWeightMax: requestWeightMax, observer)
        let load = RecordLoad(plan, source: makeSource(makeFeed(budget, meter)), ports: makePorts(meter))
        let (outcome, progress) = try await load.run()
        await budget.close()
        switch outcome {
        case .finished:
            return .finished(progress.counts, extra: meter.extra(progress, missing: missing(progress)))
        case .interrupted: return .interrupted(progress.counts)
        case .superseded: return .superseded
        case .failed(let error):
            let failure = WorkerFailure(error.isRetriable ? .retriable : .final, error.detail)
            return .failed(progress.counts, failure)
        }
    }

    private func makeFeed(_ budget: any RequestBudget, _ meter: ExchangeMeter) -> BinanceFeed {
        let values = context.settings
        return BinanceFeed(
            baseURL: values[ExchangeSettings.url],
            http: HTTPClient(.init(caFile: values[ExchangeSettings.certificateAuthorityPath])),
            budget: budget, configuration: configuration, observe: { meter.note($0) })
    }

    private func makePorts(_ meter: ExchangeMeter) -> LoadPorts {
        LoadPorts(
            kafka: context.kafka, observeKafka: context.kafkaObserver,
            waitToWrite: { [context] in try await context.waitToWrite() },
            mayWrite: { [context] in context.lease.mayWrite },
            stopRequested: { [context] in await context.stop.wait() },
            report: { meter.report($0) },
            crashPoints: context.crashPoints)
    }
}
