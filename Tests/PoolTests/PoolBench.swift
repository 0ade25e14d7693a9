import Foundation
import KafkaBridge
import ServiceRuntime
import Testing
import Workflow

/// Measures the pool's own path; run by hand with `POOL_BENCH=1`. A debug build is several times slower.
@Suite(
    .serialized, .enabled(if: ProcessInfo.processInfo.environment["POOL_BENCH"] == "1"),
    .timeLimit(.minutes(5)))
struct PoolBench {
    @Test func `offers a second through one worker, latency of one alone`() async throws {
        try await PoolStage.with { stage in
            let worker = try await stage.startWorker("pool-a", slots: 16, ["LOG_LEVEL": "info"])
            let idle = try cpuSeconds(worker)
            let idleSince = ContinuousClock.now
            try await Task.sleep(for: .seconds(3))
            let idleShare =
                (try cpuSeconds(worker) - idle) / ((ContinuousClock.now - idleSince) / .seconds(1))
            var taken: [Double] = []
            for number in 0..<200 {
                let begun = ContinuousClock.now
                try await stage.offer(try PoolStage.queue(number))
                _ = try await stage.events("finished") { $0.contains(where: \.finished) }
                taken.append((ContinuousClock.now - begun) / .milliseconds(1))
            }
            taken.sort()
            print(
                "bench: one alone p50 \(taken[100]) ms, p99 \(taken[198]) ms, least \(taken[0]) ms, idle CPU",
                idleShare)
            let count = 10_000
            let (begun, cpu) = (ContinuousClock.now, try cpuSeconds(worker))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for part in 0..<50 {
                    group.addTask {
                        for number in 0..<(count / 50) {
                            try await stage.offer(try PoolStage.queue(1_000 + part * 1_000 + number))
                        }
                    }
                }
                try await group.waitForAll()
            }
            let offered = (ContinuousClock.now - begun) / .seconds(1)
            _ = try await stage.until("all ended") {
                try await stage.metric("pool_instances_ended_total", of: worker) >= Double(count + 200)
                    ? true : nil
            }
            let seconds = (ContinuousClock.now - begun) / .seconds(1)
            let used = try cpuSeconds(worker) - cpu
            print(
                "bench: \(count) offered in \(offered) s, done in \(seconds) s, \(Double(count) / seconds)/s,",
                "worker CPU \(used) s, \(try status(worker, "VmRSS")), threads \(try status(worker, "Threads"))"
            )
            _ = await stage.stop(worker)
        }
    }

    private func cpuSeconds(_ worker: PoolStage.Worker) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(worker.process.pid)/stat", encoding: .utf8)
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        return (Double(fields[11]) ?? 0) / 100 + (Double(fields[12]) ?? 0) / 100
    }

    private func status(_ worker: PoolStage.Worker, _ name: String) throws -> String {
        let text = try String(contentsOfFile: "/proc/\(worker.process.pid)/status", encoding: .utf8)
        return text.split(separator: "\n").first { $0.hasPrefix(name) }.map(String.init) ?? ""
    }
}
