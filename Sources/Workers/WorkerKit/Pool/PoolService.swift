import KafkaBridge
import ServiceLifecycle
import ServiceRuntime
import Synchronization
import Workflow

/// A worker that stays: takes offers of its targets, runs as many at once as it has slots, and leaves in good
/// order.
struct PoolService: Service {
    let topics: [String]
    /// In the group of a topic: partitions are shared out by topic.
    let makeConsumer: @Sendable (_ topic: String) throws(KafkaError) -> KafkaConsumer
    let runner: PoolRunner
    let health: HealthState
    /// Set when another worker took this one's name.
    let isFenced = Fence()

    /// Tells why the service ended.
    final class Fence: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .acquiring) }
        func set() { value.store(true, ordering: .releasing) }
    }

    private static let lookPause = Duration.milliseconds(250)
    private static let pulse = Duration.milliseconds(100)

    func run() async throws {
        let stop = StopSignal()
        for topic in topics { health.setReady("offers \(topic)", problem: "no partitions yet") }
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                guard await prepare(stop) else { return }
                health.markStarted()
                group.addTask { await runner.control.run() }
                group.addTask {
                    while !Task.isCancelled {
                        runner.slots.pulse()
                        try? await Task.sleep(for: Self.pulse)
                    }
                }
                let (batches, feed) = AsyncStream<TakenBatch>.makeStream()
                group.addTask {
                    await takeAll(stop, feed)
                    feed.finish()
                }
                await withDiscardingTaskGroup { instances in
                    for await batch in batches { instances.addTask { await runner.run(batch) } }
                }
                group.cancelAll()
            }
        } onGracefulShutdown: {
            stop.request()
            let running = runner.live.stopAll()
            runner.observe(.stopping(running: running))
        }
        await runner.control.close()
        // Every event was awaited: nothing is left to be sent.
        try? await runner.producer.close(timeout: .seconds(1))
    }

    /// Takes offers of all targets until a stop.
    private func takeAll(_ stop: StopSignal, _ feed: AsyncStream<TakenBatch>.Continuation) async {
        await withTaskGroup(of: Bool.self) { takers in
            for topic in topics {
                takers.addTask {
                    await OfferTaker(
                        topic: topic, makeConsumer: makeConsumer, slots: runner.slots, stop: stop,
                        health: health,
                        observe: runner.observe, ends: { await runner.control.ends(of: $0) },
                        start: { feed.yield($0) }
                    ).run()
                }
            }
            for await isOurs in takers where !isOurs {
                isFenced.set()
                stop.request()
                _ = runner.live.stopAll()
            }
        }
    }

    /// Waits until commands can be read and there is something to read offers from.
    ///
    /// - Returns: false when a stop came first.
    private func prepare(_ stop: StopSignal) async -> Bool {
        var missing = topics
        var isControlOpen = false
        var told: Set<String> = []
        while !stop.isRequested, !Task.isCancelled {
            do throws(KafkaError) {
                if !isControlOpen { isControlOpen = try await runner.control.open() }
                for topic in missing where try await runner.control.exists(topic) {
                    missing.removeAll { $0 == topic }
                }
                if isControlOpen, missing.isEmpty {
                    health.setReady("kafka")
                    return true
                }
                for topic in missing + (isControlOpen ? [] : [runner.control.topic])
                where told.insert(topic).inserted {
                    runner.observe(.waitedForTopic(topic))
                }
                health.setReady("kafka", problem: "topics are missing")
            } catch {
                runner.observe(.controlFailed(error))
                health.setReady("kafka", problem: "the broker does not answer")
            }
            _ = try? await stop.unlessRequested { try await Task.sleep(for: Self.lookPause) }
        }
        return false
    }
}
