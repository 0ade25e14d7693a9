import Foundation
import ServiceRuntime

/// A side that reads topics, in a process of its own that is told what to read line by line.
///
/// Reading its answers blocks, so it has a queue of its own.
actor ChildSide {
    private let executor = QueueExecutor(label: "bench-child")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ program: String, _ arguments: [String], environment: [String: String]) throws {
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// Waits for the line that says it is connected.
    func waitUntilReady() throws {
        guard try answer() == "ready" else { throw BenchError("the side did not become ready") }
    }

    /// - Returns: how long it took from the order to the answer that all is stored.
    func store(topic: String, collection: String, count: Int) throws -> Duration {
        let start = ContinuousClock.now
        try input.fileHandleForWriting.write(contentsOf: Data("\(topic) \(collection)\n".utf8))
        let answer = try answer()
        guard answer == "done \(count)" else { throw BenchError("expected done \(count), got \(answer)") }
        return ContinuousClock.now - start
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// The highest resident memory since the last call, in MB.
    func peakMegabytes() throws -> Double {
        let folder = "/proc/\(process.processIdentifier)"
        let status = try String(contentsOfFile: "\(folder)/status", encoding: .utf8)
        // 5 resets the peak (proc(5), clear_refs).
        FileHandle(forWritingAtPath: "\(folder)/clear_refs")?.write(Data("5".utf8))
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
                .flatMap({ Double($0) })
        else { throw BenchError("no VmHWM in \(folder)/status") }
        return kilobytes / 1_000
    }

    private func answer() throws -> String {
        var bytes: [UInt8] = []
        while let byte = try output.fileHandleForReading.read(upToCount: 1)?.first {
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        throw BenchError("the side ended: \(String(decoding: bytes, as: UTF8.self))")
    }
}
