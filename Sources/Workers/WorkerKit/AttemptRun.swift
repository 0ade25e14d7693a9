import KafkaBridge
import ServiceRuntime
import Workflow

/// Runs one attempt by what comes in: the same for a process of its own and for one of a pool's many.
struct AttemptRun: Sendable {
    struct Limits: Sendable {
        /// To read the commands that are there, and to deliver `started`: without a broker nothing can be
        /// said, so another attempt is left to the engine.
        var start = Duration.seconds(60)
        /// To deliver the final event.
        var final = Duration.seconds(120)
    }

    typealias Inputs = AsyncStream<WorkerLifecycle.Input>

    let context: WorkerContext
    let body: WorkerKind.Body
    let observe: WorkerObserver
    var limits = Limits()

    /// Returns when the attempt is over and everything but its final event is done.
    ///
    /// - Parameters:
    ///   - feed: where the end of the work is told; the other inputs come from outside.
    ///   - isStartedSent: `started` is under way already.
    func drive(_ inputs: Inputs, _ feed: Inputs.Continuation, isStartedSent: Bool = false) async -> WorkerEnd
    {
        await withTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            var lifecycle = WorkerLifecycle()
            for await input in inputs {
                if case .stop(let stop) = input { observe(.stopRequested(reason: stop.word)) }
                switch lifecycle.apply(input) {
                case .ignore: break
                case .askToStop: context.stop.request()
                case .begin:
                    if !isStartedSent, let failure = await reportStarted() {
                        feed.yield(.ended(.failed(InstanceCounts(), failure)))
                        break
                    }
                    group.addTask { await context.telemetry.run() }
                    group.addTask { feed.yield(.ended(await work())) }
                case .end(let end):
                    context.stop.request()
                    return end
                }
            }
            // Only the cancellation of the whole program ends the inputs.
            return WorkerEnd(.interrupted(context.telemetry.counts))
        }
    }

    /// Runs an attempt whose commands are read, to its delivered final event.
    ///
    /// Quicker than waiting for `started` to be stored: it is sent on its way, and work that writes waits for
    /// its delivery (``WorkerContext/waitToWrite()``).
    func runAtOnce(_ inputs: Inputs, _ feed: Inputs.Continuation) async -> WorkerEnd {
        let (started, handed): (QueueEvent, EventSender.Handed)
        do {
            (started, handed) = try await context.telemetry.handOverStarted()
        } catch {
            return await report(WorkerEnd(.failed(InstanceCounts(), WorkerFailure(.retriable, "\(error)"))))
        }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await context.telemetry.confirmStarted(started, handed, limit: limits.start)
                    observe(.began)
                } catch {
                    let failure = WorkerFailure(.retriable, "\(error)")
                    feed.yield(.ended(.failed(context.telemetry.counts, failure)))
                }
            }
            feed.yield(.commandsRead)
            let ended = await report(await drive(inputs, feed, isStartedSent: true))
            group.cancelAll()
            return ended
        }
    }

    private func reportStarted() async -> WorkerFailure? {
        do {
            try await context.telemetry.sendStarted(limit: limits.start)
            context.health.markStarted()
            observe(.began)
            return nil
        } catch {
            return WorkerFailure(.retriable, "\(error)")
        }
    }

    private func work() async -> WorkerOutcome {
        do {
            return try await body(context)
        } catch let failure as WorkerFailure {
            return .failed(context.telemetry.counts, failure)
        } catch let error as KafkaError where error.isFenced {
            return .superseded
        } catch is CancellationError {
            return .interrupted(context.telemetry.counts)
        } catch {
            // A stop may well make a call fail; the attempt then ended early because it was asked to.
            if context.stop.isRequested { return .interrupted(context.telemetry.counts) }
            return .failed(context.telemetry.counts, WorkerFailure(.retriable, "\(error)"))
        }
    }

    /// Delivers the final event; without it the attempt counts as lost, whatever it did.
    func report(_ end: WorkerEnd) async -> WorkerEnd {
        guard let report = end.report else { return end }
        do {
            try await context.telemetry.sendFinal(report, limit: limits.final)
            return end
        } catch {
            return WorkerEnd(report: report, exitCode: .retriable)
        }
    }
}

extension WorkerLifecycle.Stop {
    fileprivate var word: String {
        switch self {
        case .command(let reason): reason ?? "command"
        case .signal: "signal"
        }
    }
}
