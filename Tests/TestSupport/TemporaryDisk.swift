internal import Foundation

/// A disk so small that a test can fill it; only where tests run with the right to mount one.
package enum TemporaryDisk {
    package static let skipReason = "needs the right to mount a small disk"
    package static let isPossible = geteuid() == 0 && canMount()

    package static func run(megabytes: Int, _ body: (_ folder: String) async throws -> Void) async throws {
        let folder = try make(megabytes: megabytes)
        do {
            try await body(folder)
        } catch {
            remove(folder)
            throw error
        }
        remove(folder)
    }

    private static func canMount() -> Bool {
        guard let folder = try? make(megabytes: 1) else { return false }
        remove(folder)
        return true
    }

    private struct NotMounted: Error {}

    private static func make(megabytes: Int) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "disk-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        guard mount("tmpfs", folder, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            rmdir(folder)
            throw NotMounted()
        }
        return folder
    }

    private static func remove(_ folder: String) {
        // Whoever still has a file open there ends by itself.
        umount2(folder, Int32(MNT_DETACH))
        rmdir(folder)
    }
}
