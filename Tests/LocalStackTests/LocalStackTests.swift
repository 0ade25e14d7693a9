import Foundation
import Glibc
import HTTPBridge
import ServiceRuntime
import TestSupport
import Testing

@testable import LocalStack

@Suite(.serialized, .timeLimit(.minutes(3)))
struct LocalStackTests {
    @Test func `gives addresses at which the parts answer, and leaves nothing running`() async throws {
        try await withTemporaryFolder { folder in
            let mark = uniqueName("stack")
            try await withStack(try smallStack(in: folder, mark: mark)) { addresses in
                let client = HTTPClient()
                let answer = try await client.execute(HTTPRequest(.get, "\(addresses.exchange)/api/v3/ping"))
                #expect(answer.status == 200)
                #expect(addresses.queueManager == nil)
                let file = try String(contentsOfFile: "\(folder)/data/addresses.env", encoding: .utf8)
                #expect(file.contains("BINANCE_API_URL=\(addresses.exchange)\n"))
                #expect(file.contains("POSTGRES_URL=postgresql://"))
                await client.close()
            }
            #expect(ProcessTable.processes(withEnvironment: ["STACK_TEST": mark]).isEmpty)
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/data/addresses.env"))
            // The database is shut down and the folder unlocked: both can be had again.
            try await withStack(try smallStack(in: folder, mark: mark)) { _ in }
        }
    }

    @Test func `ends with the name of the part when one is killed`() async throws {
        try await withTemporaryFolder { folder in
            let mark = uniqueName("stack")
            let error = await #expect(throws: StackError.self) {
                try await withStack(try smallStack(in: folder, mark: mark)) { _ in
                    for process in ProcessTable.processes(withEnvironment: ["STACK_TEST": mark]) {
                        process.signalGroup(SIGKILL)
                    }
                    // The stack must notice by itself.
                    try await Task.sleep(for: .seconds(30))
                }
            }
            #expect(error?.part == "exchange")
            #expect(error?.detail.contains("signal 9") == true)
            #expect(ProcessTable.processes(withEnvironment: ["STACK_TEST": mark]).isEmpty)
        }
    }

    @Test func `tells a port that is taken before it starts anything`() async throws {
        try await withTemporaryFolder { folder in
            let socket = try #require(ListeningSocket())
            var options = try smallStack(in: folder, mark: uniqueName("stack"))
            options.runsQueueManager = true
            options.port = socket.port
            let error = await #expect(throws: StackError.self) { try await withStack(options) { _ in } }
            #expect(error?.part == "queue-manager")
            #expect(error?.detail.contains("port \(socket.port) of 127.0.0.1 is taken") == true)
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/data/postgres"))
        }
    }

    @Test func `tells a program that is missing before it starts anything`() async throws {
        try await withTemporaryFolder { folder in
            var options = try smallStack(in: folder, mark: uniqueName("stack"))
            options.runsQueueManager = true
            options.programsDirectory = folder
            options.port = 0
            let error = await #expect(throws: StackError.self) { try await withStack(options) { _ in } }
            #expect(error?.part == "queue-manager")
            #expect(error?.detail.contains("scripts/build") == true)
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/data/postgres"))
        }
    }

    @Test func `refuses a data folder that another stack uses`() async throws {
        try await withTemporaryFolder { folder in
            let first = try StackFolder("\(folder)/data")
            let error = await #expect(throws: StackError.self) {
                try await withStack(try smallStack(in: folder, mark: uniqueName("stack"))) { _ in }
            }
            #expect(error?.detail.contains("in use by the stack of process \(getpid())") == true)
            #expect(error?.detail.contains("--data-dir") == true)
            withExtendedLifetime(first) {}
        }
    }

    @Test func `names the variable when the user's own database does not answer`() async throws {
        try await withTemporaryFolder { folder in
            let socket = try #require(ListeningSocket())
            let port = socket.port
            socket.close()
            var options = try smallStack(in: folder, mark: uniqueName("stack"))
            options.environment["POSTGRES_URL"] = "postgresql://someone:hidden@127.0.0.1:\(port)/nothing"
            let error = await #expect(throws: StackError.self) { try await withStack(options) { _ in } }
            #expect(error?.detail.contains("POSTGRES_URL") == true)
            #expect(error?.description.contains("hidden") == false)
        }
    }

    @Test func `ends workers that a killed stack left behind`() async throws {
        try await withTemporaryFolder { folder in
            var stackID = ""
            do {
                let folder = try StackFolder("\(folder)/data")
                stackID = folder.stackID
            }
            let worker = try await ChildProcess.start(
                ChildProcess.Command(
                    "/bin/sleep", ["600"], environment: [MarkedProcesses.variable: stackID],
                    diesWithParent: true))
            try await withStack(try smallStack(in: folder, mark: uniqueName("stack"))) { _ in
                #expect(worker.exit == .signal(SIGTERM))
            }
            #expect(worker.exit == .signal(SIGTERM))
        }
    }

    @Test func `kills a worker that does not listen to SIGTERM`() async throws {
        let stackID = uniqueName("mark")
        let worker = try await ChildProcess.start(
            ChildProcess.Command(
                "/bin/sh", ["-c", "trap '' TERM; while :; do sleep 0.1; done"],
                environment: [MarkedProcesses.variable: stackID, "PATH": "/bin:/usr/bin"],
                diesWithParent: true))
        await MarkedProcesses.end(stackID: stackID, grace: .milliseconds(300))
        let exit = await worker.waitForExit(timeout: .seconds(5))
        // SIGTERM ends it when it came before the trap was set: both are an end.
        #expect(exit == .signal(SIGKILL) || exit == .signal(SIGTERM))
        #expect(ProcessTable.processes(withEnvironment: [MarkedProcesses.variable: stackID]).isEmpty)
    }
}

/// Takes a free port of 127.0.0.1 and listens on it.
private final class ListeningSocket: Sendable {
    let port: Int
    private let descriptor: Int32

    init?() {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard isBound, listen(descriptor, 1) == 0 else { return nil }
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    func close() { Glibc.close(descriptor) }
}
