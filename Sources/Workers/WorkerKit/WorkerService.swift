import KafkaBridge
import Logging
import ServiceLifecycle
import ServiceRuntime
import Synchronization
import Workflow

/// Runs one attempt from the first command read to the final event delivered.
struct WorkerService: Service {
    struct Limits: Sendable {
        /// To read the commands that are there, and to deliver `started`: without a broker nothing can be
        /// said, so another attempt is left to the engine.
        var start = Duration.seconds(60)
        /// To deliver the final event.
        var final = Duration.seconds(120)
    }

    let parts: WorkerParts
    let body: WorkerKind.Body
    /// Set when the run is over; read by whoever started the service.
    let end: EndBox
    var limits = Limits()

    /// Holds how the attempt ended.
    final class EndBox: Sendable {
        private let value = Mutex<WorkerEnd?>(nil)

        var end: WorkerEnd? { value.withLock { $0 } }
        func set(_ end: WorkerEnd) { value.withLock { $0 = end } }
    }

    func run() async throws {
        // At most four inputs: commands read, a first stop of each kind, the end of the work.
        let (inputs, feed) = AsyncStream<WorkerLifecycle.Input>.makeStream()
        let decided = await withGracefulShutdownHandler {
            await drive(inputs, feed)
        } onGracefulShutdown: {
            feed.yield(.stop(.signal))
        }
        // Heartbeats have ended: the final event is the last one.
        let outcome = await report(decided)
        end.set(outcome)
        await parts.listener.close()
        // Every event was awaited: nothing is left to be sent.
        try? await parts.producer.close(timeout: .seconds(1))
        parts.observe(.ended(outcome))
    }

    /// Returns when the attempt is over and everything but its final event is done.
    private func drive(
        _ inputs: AsyncStream<WorkerLifecycle.Input>, _ feed: AsyncStream<WorkerLifecycle.Input>.Continuation
    ) async -> WorkerEnd {
        await withTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            var lifecycle = WorkerLifecycle()
            group.addTask { await listen(feed) }
            for await input in inputs {
                if case .stop(let stop) = input { parts.observe(.stopRequested(reason: stop.word)) }
                switch lifecycle.apply(input) {
                case .ignore: break
                case .askToStop: parts.context.stop.request()
                case .begin:
                    if let failure = await reportStarted() {
                        feed.yield(.ended(.failed(InstanceCounts(), failure)))
                        break
                    }
                    group.addTask { await parts.context.telemetry.run() }
                    group.addTask { feed.yield(.ended(await work())) }
                case .end(let end):
                    parts.context.stop.request()
                    return end
                }
            }
            // Only the cancellation of the whole program ends the inputs.
            return WorkerEnd(.interrupted(parts.context.telemetry.counts))
        }
    }

    /// Reads what is there, then listens; tells a stop only once.
    private func listen(_ feed: AsyncStream<WorkerLifecycle.Input>.Continuation) async {
        do throws(KafkaError) {
            if case .stop(let reason)? = try await parts.listener.readToEnd(limit: limits.start) {
                feed.yield(.stop(.command(reason: reason)))
                return
            }
            feed.yield(.commandsRead)
        } catch {
            let failure = WorkerFailure(.retriable, "\(error)")
            feed.yield(.ended(.failed(InstanceCounts(), failure)))
            return
        }
        let isStopTold = Atomic(false)
        while !Task.isCancelled {
            do throws(KafkaError) {
                try await parts.listener.listen { reaction in
                    switch reaction {
                    case .answer(let ping): parts.context.telemetry.answer(ping)
                    case .stop(let reason):
                        if isStopTold.exchange(true, ordering: .relaxed) { return }
                        feed.yield(.stop(.command(reason: reason)))
                    case .skip: break
                    }
                }
            } catch {
                if error.code == .cancelled || error.code == .closed { return }
                parts.observe(.listenFailed(error))
                // Without commands the lease and the fences still hold; the heartbeats tell that we live.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func reportStarted() async -> WorkerFailure? {
        do {
            try await parts.context.telemetry.sendStarted(limit: limits.start)
            parts.context.health.markStarted()
            parts.observe(.began)
            return nil
        } catch {
            return WorkerFailure(.retriable, "\(error)")
        }
    }

    private func work() async -> WorkerOutcome {
        let context = parts.context
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
    private func report(_ end: WorkerEnd) async -> WorkerEnd {
        guard let report = end.report else { return end }
        do {
            try await parts.context.telemetry.sendFinal(report, limit: limits.final)
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
