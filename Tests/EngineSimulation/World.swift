import Workflow

/// Everything of a simulation that is not the engine: time, chance, faults, and who waits for what.
///
/// `@unchecked`: all of it lives on the one thread of ``SimulatedExecutor``.
package final class World: @unchecked Sendable {
    /// One moment at which a waiting task goes on.
    private struct Sleeper {
        var at: Int64
        /// Breaks ties, by chance.
        var order: UInt64
        var continuation: CheckedContinuation<Void, Never>
    }

    let executor = SimulatedExecutor()
    var random: SeededRandom
    /// Milliseconds; the database's clock adds ``clockJump``.
    private(set) var now: Int64 = 1_000_000
    /// How far the database's clock was put forward.
    var clockJump: Int64 = 0
    /// While it holds, calls fail, replies get lost and replicas die.
    var areFaultsOn = true
    /// Everything is judged; what still runs has only to leave.
    var isOver = false
    private(set) var steps = 0
    private(set) var faults = 0
    /// How often queues were looked at in which way.
    private(set) var lookKinds: [String: Int] = [:]
    private(set) var faultKinds: [String: Int] = [:]
    /// A digest of everything that happened: equal for equal seeds.
    private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    private var sleepers: [Sleeper] = []
    /// What the simulation found wrong; the first counts.
    private(set) var violations: [String] = []
    /// The last lines of what happened, for a person who replays a seed.
    private(set) var trace: [String] = []
    let keepsTrace: Bool

    init(seed: UInt64, keepsTrace: Bool) {
        random = SeededRandom(seed: seed)
        self.keepsTrace = keepsTrace
    }

    var databaseNow: Int64 { now + clockJump }

    // MARK: Time

    /// Suspends the calling task for `milliseconds` of simulated time.
    func sleep(_ milliseconds: Int64) async {
        await withCheckedContinuation { continuation in
            sleepers.append(
                Sleeper(at: now + max(0, milliseconds), order: random.next(), continuation: continuation))
        }
    }

    /// Lets time pass until `condition` holds; looks every `interval` milliseconds.
    func wait(every interval: Int64, atMost limit: Int64, until condition: () -> Bool) async {
        let deadline = now + limit
        while !condition(), now < deadline { await sleep(interval) }
    }

    /// Begins a task of the simulation.
    func spawn(_ body: @escaping @Sendable () async -> Void) {
        Task(executorPreference: executor) { await body() }
    }

    /// Runs until `isOver`, the time `deadline`, or a violation.
    func run(until deadline: Int64, _ isOver: () -> Bool) {
        executor.runUntilIdle()
        while violations.isEmpty, !isOver() {
            guard now <= deadline, goOn() else { return }
        }
    }

    /// Lets the next task go on that waits.
    private func goOn() -> Bool {
        guard let index = sleepers.indices.min(by: { isEarlier(sleepers[$0], sleepers[$1]) }) else {
            return false
        }
        let sleeper = sleepers.remove(at: index)
        now = max(now, sleeper.at)
        steps += 1
        sleeper.continuation.resume()
        executor.runUntilIdle()
        return true
    }

    /// Lets every task that still waits run to its end; their calls fail from now on.
    func drain() {
        while goOn() {}
    }

    private func isEarlier(_ left: Sleeper, _ right: Sleeper) -> Bool {
        left.at == right.at ? left.order < right.order : left.at < right.at
    }

    // MARK: Chance

    /// Whether a fault happens now; counted and told when it does.
    func fault(_ kind: String, _ probability: Double) -> Bool {
        guard areFaultsOn, random.chance(probability) else { return false }
        note(fault: kind)
        return true
    }

    func note(fault kind: String) {
        faults += 1
        faultKinds[kind, default: 0] += 1
        tell("fault: \(kind)")
    }

    // MARK: What happened

    func note(look kind: String) { lookKinds[kind, default: 0] += 1 }

    func tell(_ line: @autoclosure () -> String) {
        let text = "\(now) \(line())"
        for byte in text.utf8 { digest = (digest ^ UInt64(byte)) &* 0x0100_0000_01b3 }
        if keepsTrace { trace.append(text) }
    }

    func violate(_ rule: String) {
        tell("VIOLATION: \(rule)")
        violations.append(rule)
    }
}

/// A call into the simulated world that did not work, or whose answer got lost.
struct SimulatedFailure: Error, CustomStringConvertible {
    var description: String
}
