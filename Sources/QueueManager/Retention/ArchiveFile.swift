import Glibc
import ServiceRuntime

/// An error of the file system, with what we were doing.
package struct ArchiveError: Error, Sendable, Equatable, CustomStringConvertible {
    package var operation: String
    package var detail: String

    package var description: String { "\(operation): \(detail)" }

    /// Of the last system call.
    static func last(_ operation: String) -> ArchiveError {
        ArchiveError(operation: operation, detail: String(cString: strerror(errno)))
    }
}

/// A file that grows by whole lines. Its calls block, so it has a queue of its own.
actor ArchiveFile {
    private let executor = QueueExecutor(label: "archive")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let path: String
    private var descriptor: Int32 = -1
    /// The last bytes are looked at in pieces of this size to find the last line's end.
    private static let tailBytes = 65_536

    private init(path: String) {
        self.path = path
    }

    /// Opens or creates a file of a folder, for its owner only, and cuts off a line that was not ended.
    static func open(directory: String, name: String) async throws -> ArchiveFile {
        let file = ArchiveFile(path: "\(directory)/\(name)")
        do {
            try await file.open(in: directory)
            return file
        } catch {
            await file.close()
            throw error
        }
    }

    private func open(in directory: String) throws {
        descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ArchiveError.last("open \(path)") }
        try cutOpenLine()
        try syncFolder(directory)
    }

    func write(_ text: String) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ArchiveError.last("write to \(path)") }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Returns when everything is on the disk.
    func sync() throws {
        guard fsync(descriptor) == 0 else { throw ArchiveError.last("sync \(path)") }
    }

    func close() {
        guard descriptor >= 0 else { return }
        _ = Glibc.close(descriptor)
        descriptor = -1
    }

    private func cutOpenLine() throws {
        var end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw ArchiveError.last("find the end of \(path)") }
        var piece = [UInt8](repeating: 0, count: Self.tailBytes)
        search: while end > 0 {
            let start = max(0, end - off_t(Self.tailBytes))
            let count = pread(descriptor, &piece, Int(end - start), start)
            guard count == Int(end - start) else { throw ArchiveError.last("read \(path)") }
            if let index = piece[..<count].lastIndex(of: UInt8(ascii: "\n")) {
                end = start + off_t(index) + 1
                break search
            }
            end = start
        }
        guard ftruncate(descriptor, end) == 0, lseek(descriptor, end, SEEK_SET) == end else {
            throw ArchiveError.last("cut an open line off \(path)")
        }
    }

    /// A new file is only there after a crash when its folder is on the disk too.
    private func syncFolder(_ directory: String) throws {
        let folder = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw ArchiveError.last("open \(directory)") }
        defer { _ = Glibc.close(folder) }
        guard fsync(folder) == 0 else { throw ArchiveError.last("sync \(directory)") }
    }
}
