import Glibc
import Synchronization

/// A chaos aid: shows a tester where a process is, and stops it exactly there when told to.
///
/// Off unless `CRASH_POINTS_DIR` is set; then the process maps the file `<dir>/<pid>`, one page of 4,096
/// bytes, little-endian, which a tester maps too:
///
/// | offset | type | who writes | meaning |
/// |--|--|--|--|
/// | 0 | 8 bytes | process | `SFCRASH1`, written last: the page is valid |
/// | 8 | u32 | process | its pid |
/// | 12 | u32 | process | the ``CrashPoint`` it reached last; 0: none yet |
/// | 16 | u32 | tester | the point to stop at; 0: none; the process clears it when it stops |
/// | 20 | u32 | process | the point it stopped at; 0 again once it was continued |
/// | 24 | u64 | tester | stop no earlier than at this count of the point; write it before offset 16 |
/// | 64 | 128 bytes | process | a label, UTF-8, zeros behind |
/// | 256 + 8 × point | u64 | process | how often it reached the point |
///
/// The stop is a SIGSTOP of the process to itself: all its threads stand until it gets SIGCONT or SIGKILL.
/// The file stays when the process is gone, so a tester reads from it where it was.
package struct CrashPoints: Sendable {
    package static let bytes = 4_096

    /// Never unmapped: it lives as long as the process.
    private let page: CrashPage?

    /// Does nothing, at the cost of one comparison.
    package static let off = CrashPoints(page: nil)

    private init(page: CrashPage?) {
        self.page = page
    }

    /// - Parameters:
    ///   - directory: from ``ServiceSettings/crashPointsDirectory``; nil gives ``off``.
    ///   - label: names the process for people, e.g. `loader-api-candles BTCUSDT 1`; cut at 127 bytes.
    /// - Throws: ``CrashPointsError`` when the file cannot be made.
    package init(directory: String?, label: String) throws(CrashPointsError) {
        guard let directory else {
            self = .off
            return
        }
        page = try CrashPage(path: "\(directory)/\(getpid())", label: label)
    }

    package func reach(_ point: CrashPoint) {
        guard let page else { return }
        page.reach(point)
    }
}

package struct CrashPointsError: Error, Sendable, CustomStringConvertible {
    package var path: String
    package var detail: String

    package var description: String { "crash point page \(path): \(detail)" }
}

// @unchecked: the page is shared with another process, all access after init is atomic.
private final class CrashPage: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer

    private enum Offset {
        static let pid = 8
        static let current = 12
        static let stopAt = 16
        static let stopped = 20
        static let stopCount = 24
        static let label = 64
        static let counts = 256
    }

    init(path: String, label: String) throws(CrashPointsError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CrashPage.error(path, "cannot be created") }
        defer { close(descriptor) }
        guard ftruncate(descriptor, off_t(CrashPoints.bytes)) == 0 else {
            throw CrashPage.error(path, "cannot be sized")
        }
        let mapped = mmap(nil, CrashPoints.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else { throw CrashPage.error(path, "cannot be mapped") }
        base = mapped
        base.storeBytes(of: UInt32(getpid()).littleEndian, toByteOffset: Offset.pid, as: UInt32.self)
        (base + Offset.label).copyMemory(
            from: Array(label.utf8.prefix(127)), byteCount: min(label.utf8.count, 127))
        atomicMemoryFence(ordering: .releasing)
        base.copyMemory(from: Array("SFCRASH1".utf8), byteCount: 8)
    }

    func reach(_ point: CrashPoint) {
        let number = point.rawValue
        let count = word64(Offset.counts + 8 * Int(number)).pointee.add(1, ordering: .relaxed).newValue
        word32(Offset.current).pointee.store(number, ordering: .releasing)
        let stopAt = word32(Offset.stopAt)
        guard stopAt.pointee.load(ordering: .acquiring) == number,
            count >= word64(Offset.stopCount).pointee.load(ordering: .relaxed),
            stopAt.pointee.compareExchange(expected: number, desired: 0, ordering: .relaxed).exchanged
        else { return }
        word32(Offset.stopped).pointee.store(number, ordering: .releasing)
        // To this thread, not to the process: only so does it stand before this call returns.
        pthread_kill(pthread_self(), SIGSTOP)
        word32(Offset.stopped).pointee.store(0, ordering: .releasing)
    }

    // `Atomic` has the size and layout of its value, so the address of a word is the address of an `Atomic`.

    private func word32(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    private func word64(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private static func error(_ path: String, _ what: String) -> CrashPointsError {
        CrashPointsError(path: path, detail: "\(what) (\(String(cString: strerror(errno))))")
    }
}
