internal import Foundation
package import ServiceRuntime

/// Tells a process to stand still when it reaches `point` for the `count`th time, and waits until it does.
///
/// - Parameters:
///   - pages: its `CRASH_POINTS_DIR`.
///   - limit: for the wait.
/// - Throws: ``StageError`` when the process ends before, or never gets there.
package func hold(
    _ process: ChildProcess, pages: String, at point: CrashPoint, count: UInt64,
    limit: Duration = .seconds(30)
) async throws {
    let page = try await eventually("the page of \(process.pid)", limit) { () -> FileHandle? in
        if let exit = process.exit { throw StageError("the process ended at once: \(exit)") }
        guard let file = FileHandle(forUpdatingAtPath: "\(pages)/\(process.pid)") else { return nil }
        guard try file.read(upToCount: 8) == Data("SFCRASH1".utf8) else { return nil }
        return file
    }
    defer { try? page.close() }
    try page.seek(toOffset: 24)
    try page.write(contentsOf: withUnsafeBytes(of: count.littleEndian) { Data($0) })
    try page.seek(toOffset: 16)
    try page.write(contentsOf: withUnsafeBytes(of: point.rawValue.littleEndian) { Data($0) })
    _ = try await eventually("\(process.pid) at \(point)", limit) { () -> Bool? in
        try page.seek(toOffset: 20)
        let stopped = try page.read(upToCount: 4) ?? Data()
        if process.exit != nil { throw StageError("the process ended before \(point)") }
        return Array(stopped) == [UInt8(point.rawValue), 0, 0, 0] ? true : nil
    }
}

package struct StageError: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

private func eventually<Answer>(
    _ what: String, _ limit: Duration, _ ask: () throws -> Answer?
) async throws -> Answer {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if let answer = try ask() { return answer }
        try await Task.sleep(for: .milliseconds(2))
    }
    throw StageError("waited in vain for \(what)")
}
