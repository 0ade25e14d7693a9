import ServiceRuntime
import WorkerKit
import Workflow

/// A worker that counts: each tick is one record read and written, until `PROBE_RECORDS` are done.
enum ProbeWorker {
    private static let records = Setting<Int64>.integer(
        "PROBE_RECORDS", in: 0...Int64.max, example: "10", doc: "Records to count.")

    static func run() async {
        let kind = WorkerKind(
            name: "test-probe", summary: "Counts", settings: [SettingsGroup("Probe", [records])]
        ) { values in
            { context in try await count(to: values[records], context) }
        }
        await WorkerProgram.run(kind).exitProcess()
    }

    private static func count(to last: Int64, _ context: WorkerContext) async throws -> WorkerOutcome {
        var counts = InstanceCounts()
        while counts.recordsRead < last {
            guard try await context.waitToWrite() else { return .interrupted(counts) }
            counts.recordsRead += 1
            counts.recordsWritten += 1
            context.loading(counts)
            try await Task.sleep(for: .milliseconds(2))
        }
        return .finished(counts)
    }
}
