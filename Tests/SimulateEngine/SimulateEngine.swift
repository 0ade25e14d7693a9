import ArgumentParser
import EngineSimulation
import Synchronization

/// Runs the engine's simulation over many seeds; see scripts/simulate.
@main
struct SimulateEngine: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate-engine",
        abstract: "Runs the real engine over a simulated world with faults, one run a seed.")

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: "How many seeds, from 1 to 10,000,000.")
    var seeds: UInt64 = 10_000

    @Option(help: "A mistake to plant: \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")).")
    var bug: String?

    @Flag(help: "Print everything that happens; for one seed.")
    var trace = false

    @Option(help: "Threads.")
    var threads = 2

    func validate() throws {
        guard (1...10_000_000).contains(seeds) else { throw ValidationError("--seeds: give 1 to 10000000") }
        guard (1...64).contains(threads) else { throw ValidationError("--threads: give 1 to 64") }
        if let bug, PlantedBug(rawValue: bug) == nil { throw ValidationError("--bug: there is no \(bug)") }
    }

    func run() async throws {
        let bugs = Set([bug.flatMap(PlantedBug.init(rawValue:))].compactMap(\.self))
        let start = ContinuousClock.now
        let summary = await SimulationSummary.run(
            seeds: seed..<(seed + seeds), bugs: bugs, keepsTrace: trace, threads: threads)
        if trace { summary.failures.first.map { print($0.trace.joined(separator: "\n")) } }
        for failure in summary.failures.prefix(10) {
            print("seed \(failure.seed): \(failure.violation ?? "")")
        }
        print(summary.histogram)
        let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1_000
        let verdict = summary.failures.isEmpty ? "passed" : "FAILED"
        print(
            "simulate: \(verdict): \(seeds) seeds from \(seed), \(summary.failures.count) failed, "
                + "digest \(String(summary.digest, radix: 16)), \(seconds) s")
        if !summary.failures.isEmpty { throw ExitCode.failure }
    }
}
