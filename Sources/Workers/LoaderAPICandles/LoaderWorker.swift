import BinanceFeed
import HTTPBridge
import KafkaBridge
import ServiceRuntime
import WorkerKit
import Workflow

/// The worker kind `loader-api-candles`: from the exchange's REST API to the instance's partition.
package enum LoaderWorker {
    package static let kind = WorkerKind(
        name: Target.loaderAPICandles.rawValue,
        summary: "Loads candles from the exchange into the data topic.", settings: LoaderSettings.groups
    ) { values in
        let range = try LoaderSettings.range(values)
        return { context in try await run(range, context) }
    }

    private static func run(_ range: KlineRange, _ context: WorkerContext) async throws -> WorkerOutcome {
        let values = context.settings
        guard let partition = values[WorkerSettings.partitions].first else {
            throw WorkerFailure(.final, "KAFKA_PARTITIONS names no partition")
        }
        let plan = LoadPlan(
            range: range, output: TopicPartition(values[WorkerSettings.topic], partition),
            transactionalID: DerivedName.transactionalID(context.identity.queueID, context.identity.instance),
            attempt: context.identity.attempt, traceparent: context.traceparent?.description)
        let observer = LoaderObserver(context)
        let exchange = ExchangeMeter(observer: observer) { counts, message, extra in
            context.loading(counts, message: message, extra: extra)
        }
        let budget = try await LoaderBudget.make(values, context, observer)
        let load = CandleLoad(
            plan, feed: makeFeed(values, context, budget, exchange), ports: makePorts(context, exchange))
        let (outcome, progress) = try await load.run()
        await budget.close()
        switch outcome {
        case .finished:
            let missing = range.candleCount - progress.lastSeq
            return .finished(progress.counts, extra: exchange.extra(progress, missing: missing))
        case .interrupted: return .interrupted(progress.counts)
        case .superseded: return .superseded
        case .failed(let error):
            let failure = WorkerFailure(error.isRetriable ? .retriable : .final, error.detail)
            return .failed(progress.counts, failure)
        }
    }

    private static func makeFeed(
        _ values: SettingValues, _ context: WorkerContext, _ budget: any RequestBudget,
        _ exchange: ExchangeMeter
    ) -> BinanceFeed {
        var configuration = BinanceFeed.Configuration()
        configuration.pageRowsMax = values[ExchangeSettings.pageRowsMax]
        configuration.klinesWeight = values[ExchangeSettings.klinesWeight]
        configuration.userAgent = "streamforge/\(context.identity.producerID)"
        return BinanceFeed(
            baseURL: values[ExchangeSettings.url],
            http: HTTPClient(.init(caFile: values[ExchangeSettings.certificateAuthorityPath])),
            budget: budget, configuration: configuration, observe: { exchange.note($0) })
    }

    private static func makePorts(_ context: WorkerContext, _ exchange: ExchangeMeter) -> LoadPorts {
        LoadPorts(
            kafka: context.kafka, observeKafka: context.kafkaObserver,
            waitToWrite: { try await context.waitToWrite() },
            mayWrite: { context.lease.mayWrite },
            stopRequested: { await context.stop.wait() },
            report: { exchange.report($0) },
            crashPoints: context.crashPoints)
    }
}

extension KlineRange {
    /// How many candles a range without holes has by its `asOf`.
    var candleCount: Int64 {
        interval.candleCount(from: from, to: min(to, interval.openTime(containing: asOf)))
    }
}
