import DocumentStores
import KafkaBridge
import ServiceLifecycle
import ServiceRuntime
import WorkerKit
import Workflow

/// Reads shared topics in the group of connectors until it is asked to leave.
struct SharedConnectorService: Service {
    /// What only works once the store has answered.
    typealias OpenStore = @Sendable () async throws(StoreError) -> any DocumentStore

    let topics: [String]
    let openStore: OpenStore
    let makeConsumer: @Sendable () throws(KafkaError) -> KafkaConsumer
    let control: ConnectorControl
    let producer: RenewingProducer
    let health: HealthState
    let makeParts: @Sendable (any DocumentStore, RenewingProducer) -> SharedParts
    let observe: @Sendable (SharedObservation) -> Void

    private static let lookPause = Duration.milliseconds(250)
    private static let reopenPause = Duration.seconds(1)
    private static let closeMax = Duration.seconds(5)

    func run() async throws {
        let stop = StopSignal()
        health.setReady("kafka", problem: "no partitions yet")
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                guard let store = await open(stop), await prepare(stop) else { return }
                group.addTask { await control.run() }
                await waitForControl(stop)
                health.markStarted()
                await serve(makeParts(store, producer), stop)
                group.cancelAll()
                await store.close()
            }
        } onGracefulShutdown: {
            stop.request()
        }
        await control.close()
        // Every final event was awaited.
        try? await producer.close(timeout: .seconds(1))
    }

    /// Memberships one after the other, each with nothing in hand at its beginning.
    private func serve(_ parts: SharedParts, _ stop: StopSignal) async {
        while !stop.isRequested, !Task.isCancelled {
            do throws(KafkaError) {
                let consumer = try makeConsumer()
                let failure = await serve(parts, stop, consumer)
                await consumer.close(timeout: Self.closeMax)
                if let failure { throw failure }
            } catch {
                health.setReady("kafka", problem: "shared topics cannot be read")
                observe(.readFailed(error))
                _ = try? await stop.unlessRequested { try await Task.sleep(for: Self.reopenPause) }
            }
        }
        health.endBeat(ConnectorSession.loopName)
    }

    private func serve(
        _ parts: SharedParts, _ stop: StopSignal, _ consumer: KafkaConsumer
    ) async -> KafkaError? {
        let runner = StreamJobRunner(parts: parts)
        let mailbox = JobMailbox()
        let (jobs, feed) = AsyncStream<StreamJob>.makeStream()
        return await withTaskGroup(of: KafkaError?.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { running in
                    for await job in jobs {
                        running.addTask { mailbox.put(job, await runner.run(job)) }
                    }
                }
                return nil
            }
            var session = ConnectorSession(
                consumer: consumer, topics: topics, runner: runner, control: control, stop: stop,
                health: health, mailbox: mailbox, start: { feed.yield($0) })
            var failure: KafkaError?
            do throws(KafkaError) {
                try await session.run()
            } catch {
                failure = error
            }
            // Those that are left were abandoned and return.
            feed.finish()
            return failure
        }
    }

    private func open(_ stop: StopSignal) async -> (any DocumentStore)? {
        var isTold = false
        while !stop.isRequested, !Task.isCancelled {
            do throws(StoreError) {
                let store = try await openStore()
                health.setReady("store")
                return store
            } catch {
                health.setReady("store", problem: error.code.rawValue)
                if !isTold { observe(.connector(.storeRetried(error, pause: Self.reopenPause))) }
                isTold = true
                _ = try? await stop.unlessRequested { try await Task.sleep(for: Self.reopenPause) }
            }
        }
        return nil
    }

    /// Waits until there are topics to read.
    ///
    /// - Returns: false when a stop came first.
    private func prepare(_ stop: StopSignal) async -> Bool {
        var isControlOpen = false
        var told: Set<String> = []
        while !stop.isRequested, !Task.isCancelled {
            do throws(KafkaError) {
                if !isControlOpen { isControlOpen = try await control.open() }
                if isControlOpen { return true }
                if told.insert(control.topic).inserted { observe(.waitedForTopic(control.topic)) }
                health.setReady("kafka", problem: "topics are missing")
            } catch {
                observe(.controlFailed(error))
                health.setReady("kafka", problem: "the broker does not answer")
            }
            _ = try? await stop.unlessRequested { try await Task.sleep(for: Self.lookPause) }
        }
        return false
    }

    private func waitForControl(_ stop: StopSignal) async {
        let deadline = ContinuousClock.now + SharedLimits().controlMax
        while !control.isRead, ContinuousClock.now < deadline, !stop.isRequested, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(10))
        }
        observe(.controlRead(stops: control.stopped.count))
    }
}
