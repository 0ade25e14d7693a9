import Glibc
import Workflow

/// Walks through a folder of objects.
struct FolderTree {
    /// More than any key has parts.
    private static let depthMax = 256

    private let call: FolderCall

    init(_ call: FolderCall) { self.call = call }

    /// Paths, relative to the root, of all objects under a prefix.
    func files(under prefix: ObjectPrefix) throws(ObjectStoreError) -> [String] {
        var found: [String] = []
        try walk(prefix.path, depth: 0) { path, name in
            if !name.hasPrefix(".") { found.append(path) }
        }
        return found
    }

    /// Paths of what was begun and not finished.
    func drafts(under prefix: ObjectPrefix) throws(ObjectStoreError) -> [String] {
        var found: [String] = []
        try walk(prefix.path, depth: 0) { path, name in
            if name.hasPrefix("."), name.hasSuffix(FolderDraft.ending) { found.append(path) }
        }
        return found
    }

    private func walk(
        _ path: String, depth: Int, _ body: (_ path: String, _ name: String) -> Void
    ) throws(ObjectStoreError) {
        guard depth < Self.depthMax else { throw call.error(.invalid, "\(path) is nested too deeply") }
        guard let folder = opendir(path.isEmpty ? call.root : "\(call.root)/\(path)") else {
            // Not made yet, or removed since.
            if errno == ENOENT || errno == ENOTDIR { return }
            throw call.last()
        }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            let child = path.isEmpty ? name : "\(path)/\(name)"
            var status = stat()
            guard lstat("\(call.root)/\(child)", &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try walk(child, depth: depth + 1, body)
            case S_IFREG: body(child, name)
            default: break
            }
        }
    }
}
