import KafkaBridge
import Logging
import ServiceLifecycle
import ServiceRuntime
import Synchronization
import Workflow

/// Runs one attempt from the first command read to the final event delivered.
struct WorkerService: Service {
    let parts: WorkerParts
    let body: WorkerKind.Body
    /// Set when the run is over; read by whoever started the service.
    let end: EndBox
    var limits = AttemptRun.Limits()

    /// Holds how the attempt ended.
    final class EndBox: Sendable {
        private let value = Mutex<WorkerEnd?>(nil)

        var end: WorkerEnd? { value.withLock { $0 } }
        func set(_ end: WorkerEnd) { value.withLock { $0 = end } }
    }

    func run() async throws {
        // At most four inputs: commands read, a first stop of each kind, the end of the work.
        let (inputs, feed) = AttemptRun.Inputs.makeStream()
        let attempt = AttemptRun(context: parts.context, body: body, observe: parts.observe, limits: limits)
        let decided = await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { await listen(feed) }
                return await attempt.drive(inputs, feed)
            }
        } onGracefulShutdown: {
            feed.yield(.stop(.signal))
        }
        // Heartbeats have ended: the final event is the last one.
        let outcome = await attempt.report(decided)
        end.set(outcome)
        await parts.listener.close()
        // Every event was awaited: nothing is left to be sent.
        try? await parts.producer.close(timeout: .seconds(1))
        parts.observe(.ended(outcome))
    }

    /// Reads what is there, then listens; tells a stop only once.
    private func listen(_ feed: AttemptRun.Inputs.Continuation) async {
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
}
