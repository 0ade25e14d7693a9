internal import Foundation
internal import Glibc

/// Files that are there as a whole or not at all, whenever the process or the machine ends.
package struct DurableFolder: Sendable {
    package let path: String

    /// Makes the folder if it is not there.
    package init(_ path: String) throws(TrainingError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw TrainingError(.storage, "the folder \(path) cannot be made: \(error)")
        }
    }

    /// - Returns: nil when there is no such file.
    package func read(_ name: String) throws(TrainingError) -> [UInt8]? {
        let file = "\(path)/\(name)"
        guard FileManager.default.fileExists(atPath: file) else { return nil }
        do {
            return [UInt8](try Data(contentsOf: URL(filePath: file)))
        } catch {
            throw TrainingError(.storage, "\(file) cannot be read: \(error)")
        }
    }

    /// Replaces a file: written beside it, put on the disk, then renamed over it.
    package func write(_ name: String, _ bytes: [UInt8]) throws(TrainingError) {
        let file = "\(path)/\(name)"
        let partial = "\(file).partial"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("open", partial) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.write(descriptor, buffer.baseAddress?.advanced(by: written), bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let failure = failure("write", partial)
                close(descriptor)
                throw failure
            }
            written += count
        }
        let isSynced = fsync(descriptor) == 0
        guard close(descriptor) == 0, isSynced else { throw failure("write", partial) }
        guard rename(partial, file) == 0 else { throw failure("rename", partial) }
        try synchronise()
    }

    package func remove(_ name: String) {
        unlink("\(path)/\(name)")
    }

    /// Puts the names of the files on the disk.
    private func synchronise() throws(TrainingError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard isSynced else { throw failure("synchronise", path) }
    }

    private func failure(_ operation: String, _ file: String) -> TrainingError {
        TrainingError(.storage, "\(operation) \(file): \(String(cString: strerror(errno)))")
    }
}
