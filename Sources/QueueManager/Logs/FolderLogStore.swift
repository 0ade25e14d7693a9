import Glibc
import ServiceRuntime
import Workflow

/// Logs as files of a folder, one an attempt, named as local workers' own: it reads those too, while they grow.
///
/// Its calls block, so it has a queue of its own.
package actor FolderLogStore: LogStore {
    private let executor = QueueExecutor(label: "logs")
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let directory: String
    /// Drafts of this process that were begun.
    private var draftCount = 0
    private var hasTidied = false

    private static let draftEnding = ".draft"
    /// No save takes as long: an older draft is one that a crash left behind.
    private static let draftAgeMax = 3_600

    /// - Parameter directory: made when the first log is saved.
    package init(directory: String) {
        self.directory = directory
    }

    package func save(_ log: [UInt8], of key: JobKey) throws(LogStoreError) {
        let operation = "save the log of \(key.id)"
        let path = try path(of: key, operation)
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw .last(operation) }
        tidy()
        // Whole or not at all, whoever reads meanwhile, or writes the same log: two replicas may share the folder.
        draftCount += 1
        let draft = "\(path).\(getpid())-\(UInt32.random(in: .min ... .max))-\(draftCount)\(Self.draftEnding)"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .last(operation) }
        var rest = log.suffix(SavedLog.bytesMax)
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = LogStoreError.last(operation)
                close(descriptor)
                unlink(draft)
                throw error
            }
            rest = rest.dropFirst(count)
        }
        guard fsync(descriptor) == 0, rename(draft, path) == 0 else {
            let error = LogStoreError.last(operation)
            close(descriptor)
            unlink(draft)
            throw error
        }
        close(descriptor)
        try syncDirectory(operation)
    }

    /// A name that a crash takes back is no log: its Job is deleted next.
    private func syncDirectory(_ operation: String) throws(LogStoreError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .last(operation) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .last(operation) }
    }

    /// Removes drafts that a crash left behind, once in a process. What fails is left to the next one.
    private func tidy() {
        guard !hasTidied else { return }
        hasTidied = true
        guard let entries = opendir(directory) else { return }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(Self.draftEnding) else { continue }
            let path = "\(directory)/\(name)"
            var information = stat()
            guard stat(path, &information) == 0, time(nil) - information.st_mtim.tv_sec > Self.draftAgeMax
            else { continue }
            unlink(path)
        }
    }

    package func log(of key: JobKey) throws(LogStoreError) -> [UInt8]? {
        let operation = "read the log of \(key.id)"
        let descriptor = open(try path(of: key, operation), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .last(operation)
        }
        defer { close(descriptor) }
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw .last(operation) }
        let start = max(0, end - off_t(SavedLog.bytesMax))
        var bytes = [UInt8](repeating: 0, count: Int(end - start))
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress?.advanced(by: count), $0.count - count, start + off_t(count))
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw .last(operation) }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }

    private func path(of key: JobKey, _ operation: String) throws(LogStoreError) -> String {
        // All of it was validated where it came in; a file name is not taken on trust all the same.
        guard !key.id.instance.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 }) else {
            throw LogStoreError(operation: operation, detail: "the instance's name is no file name")
        }
        return "\(directory)/\(key.fileName)"
    }
}

extension LogStoreError {
    /// Of the last system call.
    fileprivate static func last(_ operation: String) -> LogStoreError {
        LogStoreError(operation: operation, detail: String(cString: strerror(errno)))
    }
}
