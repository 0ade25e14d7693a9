import EngineSimulation
import Foundation
import Testing

/// How many seeds the simulation runs: 500, or what `STREAMFORGE_SEEDS` says (`from-to` for some).
private enum Seeds {
    static let all: Range<UInt64> = {
        let text = ProcessInfo.processInfo.environment["STREAMFORGE_SEEDS"] ?? ""
        let parts = text.split(separator: "-").compactMap { UInt64($0) }
        if parts.count == 2, parts[0] <= parts[1] { return parts[0]..<(parts[1] + 1) }
        return 1..<(max(parts.first ?? 500, 1) + 1)
    }()
}

/// The whole engine over a simulated world; `scripts/simulate` runs many more seeds.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SimulationTests {
    @Test func `every queue ends right under every seed`() async {
        let summary = await SimulationSummary.run(seeds: Seeds.all)
        for failure in summary.failures.prefix(10) {
            Issue.record("seed \(failure.seed): \(failure.violation ?? "")")
        }
        // One seed may be small; of many the average says whether the simulation is worth its name.
        guard Seeds.all.count >= 100, summary.failures.isEmpty else { return }
        #expect(summary.average("instances") >= 3)
        #expect(summary.average("steps") >= 200)
        #expect(summary.average("faults") >= 5)
        // Large queues are looked at while their effects are under way, by their holder and for it.
        for how in ["by itself", "with its events"] {
            #expect(summary.lookKinds["\(how), effects under way", default: 0] > 0)
        }
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `a seed runs the same way again`(seed: UInt64) throws {
        let first = Simulation.run(seed: seed, keepsTrace: true)
        let second = Simulation.run(seed: seed, keepsTrace: true)
        let difference = zip(first.trace, second.trace).first { $0 != $1 }
        #expect(difference == nil)
        #expect(first.digest == second.digest)
        #expect(first.steps == second.steps)
    }

    /// Sets and dictionaries are ordered anew in every process.
    @Test func `a seed runs the same way in another process`() async throws {
        let first = try await verdict(["--seeds", "10"])
        let second = try await verdict(["--seeds", "10"])
        let other = try await verdict(["--seeds", "10", "--seed", "11"])
        #expect(first == second)
        #expect(first != other)
    }

    @Test(arguments: PlantedBug.allCases)
    func `finds a planted bug within 1,000 seeds`(bug: PlantedBug) async {
        let summary = await SimulationSummary.run(seeds: 1..<1_001, bugs: [bug], stopsAtFailure: true)
        #expect(!summary.failures.isEmpty)
    }

    /// What the program says the digest of all seeds is.
    private func verdict(_ arguments: [String]) async throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: try program())
        process.arguments = arguments + ["--threads", "1"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        let verdict = try #require(text.split(separator: "\n").last { $0.hasPrefix("simulate: ") })
        return String(try #require(verdict.firstMatch(of: /digest [0-9a-f]+/)?.output))
    }

    /// The program that was built together with these tests.
    private func program() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let folder = environment["STREAMFORGE_TEST_BIN"] { return "\(folder)/simulate-engine" }
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return (own as NSString).deletingLastPathComponent + "/simulate-engine"
    }
}
