import Foundation
import HTTPBridge
import ServiceRuntime
import Synchronization

/// One running part of a stack.
struct StackPart: Sendable {
    var name: String
    /// nil where there is none of ours.
    var logFile: String?
    /// nil while it runs.
    var exit: @Sendable () -> ChildProcess.Exit?
    var stop: @Sendable () async -> Void

    /// What to say when it ended by itself.
    var crash: StackError? {
        guard let exit = exit() else { return nil }
        let last = logFile.flatMap { BrokerFiles.lastLine(of: $0) } ?? "it wrote nothing"
        return StackError(name, "ended unexpectedly, \(exit): \(last); log: \(logFile ?? "none")")
    }
}

/// The parts that run, in the order they were started.
final class RunningParts: Sendable {
    private let parts = Mutex<[StackPart]>([])

    func add(_ part: StackPart) { parts.withLock { $0.append(part) } }

    var firstCrash: StackError? { parts.withLock { $0 }.lazy.compactMap(\.crash).first }

    /// Stops the last one first.
    func stopAll() async {
        while let part = parts.withLock({ $0.popLast() }) { await part.stop() }
    }
}

/// Starts a program that answers HTTP, as a part of the stack.
struct HTTPPart: Sendable {
    var name: String
    var command: ChildProcess.Command
    /// Answers 200 once the program is ready.
    var readyURL: String
    var limit: Duration
    var grace: Duration

    /// - Throws: ``StackError`` when it ends or is not ready within `limit`; it does not run then.
    func start() async throws -> StackPart {
        let process: ChildProcess
        do {
            process = try await ChildProcess.start(command)
        } catch {
            throw StackError(name, error.description)
        }
        let part = StackPart(
            name: name, logFile: command.logFile, exit: { process.exit },
            stop: { [grace] in await process.terminate(grace: grace) })
        do {
            try await waitUntilReady(part)
        } catch {
            await process.terminate(grace: .seconds(2))
            throw error
        }
        return part
    }

    private func waitUntilReady(_ part: StackPart) async throws {
        let client = HTTPClient()
        let timeouts = HTTPTimeouts(connect: .seconds(1), whole: .seconds(2), idle: nil)
        let deadline = ContinuousClock.now + limit
        var problem = "it does not answer"
        while ContinuousClock.now < deadline {
            do {
                let answer = try await client.execute(HTTPRequest(.get, readyURL, timeouts: timeouts))
                if answer.status == 200 {
                    await client.close()
                    return
                }
                problem =
                    "it answers \(answer.status) \(String(decoding: answer.body.prefix(200), as: UTF8.self))"
            } catch {
                if error.code == .cancelled { throw CancellationError() }
            }
            if let crash = part.crash { throw crash }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw StackError(name, "not ready within \(limit): \(problem); log: \(part.logFile ?? "none")")
    }
}

/// Processes that a stack's queue-manager left running: its workers outlive it.
enum MarkedProcesses {
    /// The variable that names the stack in the environment of its processes.
    static let variable = "STREAMFORGE_STACK"

    /// SIGTERM, then SIGKILL after `grace`.
    ///
    /// - Returns: how many there were.
    @discardableResult
    static func end(stackID: String, grace: Duration) async -> Int {
        let own = getpid()
        var count = 0
        // A worker may be launched while others are ended; once its queue-manager is gone, no more come.
        for _ in 0..<roundsMax {
            let found = ProcessTable.processes(withEnvironment: [variable: stackID]).filter { $0.pid != own }
            if found.isEmpty { break }
            count += found.count
            await withTaskGroup { group in
                for process in found { group.addTask { await process.terminateGroup(grace: grace) } }
            }
        }
        return count
    }

    private static let roundsMax = 3
}
