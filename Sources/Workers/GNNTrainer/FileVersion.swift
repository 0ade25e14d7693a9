import Glibc

/// Changes when another file is put in a file's place.
struct FileVersion: Sendable, Equatable {
    private let inode: UInt64
    private let seconds: Int
    private let nanoseconds: Int

    /// nil when there is no such file.
    init?(path: String) {
        var information = stat()
        guard stat(path, &information) == 0 else { return nil }
        inode = UInt64(information.st_ino)
        seconds = Int(information.st_mtim.tv_sec)
        nanoseconds = Int(information.st_mtim.tv_nsec)
    }
}
