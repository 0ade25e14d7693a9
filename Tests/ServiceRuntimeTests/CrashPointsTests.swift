import Foundation
import ServiceRuntime
import Testing

/// The tester's side of the page, as documented in ``CrashPoints``.
private struct CrashPage {
    let path: String

    private func word<Word: FixedWidthInteger>(_ offset: UInt64, as type: Word.Type) throws -> Word {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seek(toOffset: offset)
        let data = try file.read(upToCount: Word.bitWidth / 8) ?? Data()
        return data.reversed().reduce(0) { $0 << 8 | Word($1) }
    }

    var isValid: Bool {
        (try? Data(contentsOf: URL(fileURLWithPath: path)).prefix(8)) == Data("SFCRASH1".utf8)
    }
    func pid() throws -> UInt32 { try word(8, as: UInt32.self) }
    func current() throws -> UInt32 { try word(12, as: UInt32.self) }
    func stopped() throws -> UInt32 { try word(20, as: UInt32.self) }
    func count(_ point: CrashPoint) throws -> UInt64 {
        try word(256 + 8 * UInt64(point.rawValue), as: UInt64.self)
    }

    func stop(at point: CrashPoint, count: UInt64) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seek(toOffset: 24)
        try file.write(contentsOf: withUnsafeBytes(of: count.littleEndian) { Data($0) })
        try file.seek(toOffset: 16)
        try file.write(contentsOf: withUnsafeBytes(of: point.rawValue.littleEndian) { Data($0) })
    }
}

@Suite(.timeLimit(.minutes(1)))
struct CrashPointsTests {
    /// The process state letter of proc(5): `T` is stopped.
    private func state(_ pid: Int32) -> Character? {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        return stat.split(separator: ")").last?.dropFirst().first
    }

    private func until(_ what: String, _ condition: () throws -> Bool) async throws {
        for _ in 0..<1_000 {
            if try condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("not within 10 s: \(what)")
    }

    private func withProbe(_ body: (ChildProcess, CrashPage) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let probe = try await ChildProcess.start(
                .init(
                    try builtProgram("test-probe"), ["crash-points"],
                    environment: ["CRASH_POINTS_DIR": folder],
                    diesWithParent: true))
            let page = CrashPage(path: "\(folder)/\(probe.pid)")
            do {
                try await until("the page is valid") { page.isValid }
                try await body(probe, page)
            } catch {
                Issue.record(error)
            }
            kill(probe.pid, SIGKILL)
            _ = await probe.waitForExit(timeout: .seconds(10))
        }
    }

    @Test func `shows where a process is and how often it was there`() async throws {
        try await withProbe { probe, page in
            #expect(try page.pid() == UInt32(probe.pid))
            try await until("five rounds") { try page.count(.afterProduce) >= 5 }
            let current = try page.current()
            #expect([CrashPoint.beforeProduce.rawValue, CrashPoint.afterProduce.rawValue].contains(current))
            #expect(try page.count(.beforeLaunch) == 0)
        }
    }

    @Test func `stops a process at the point and the time it was told, until it is continued`() async throws {
        try await withProbe { probe, page in
            let target = try page.count(.afterProduce) + 50
            try page.stop(at: .afterProduce, count: target)
            try await until("it stops") { state(probe.pid) == "T" }
            #expect(try page.stopped() == CrashPoint.afterProduce.rawValue)
            #expect(try page.current() == CrashPoint.afterProduce.rawValue)
            #expect(try page.count(.afterProduce) == target)
            #expect(try page.count(.beforeProduce) == target)
            kill(probe.pid, SIGCONT)
            try await until("it goes on") { try page.stopped() == 0 && page.count(.afterProduce) > target }
        }
    }

    @Test func `leaves on its page where a killed process was`() async throws {
        try await withProbe { probe, page in
            try page.stop(at: .beforeProduce, count: 0)
            try await until("it stops") { try page.stopped() != 0 && state(probe.pid) == "T" }
            kill(probe.pid, SIGKILL)
            _ = await probe.waitForExit(timeout: .seconds(10))
            #expect(try page.current() == CrashPoint.beforeProduce.rawValue)
        }
    }

    @Test func `does nothing when it is off`() {
        CrashPoints.off.reach(.beforeProduce)
    }

    @Test func `tells a folder it cannot write to`() {
        #expect(throws: CrashPointsError.self) { try CrashPoints(directory: "/nowhere", label: "x") }
    }
}
