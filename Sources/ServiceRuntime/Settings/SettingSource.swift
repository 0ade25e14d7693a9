import Glibc

/// Where the text of a setting came from.
package enum SettingOrigin: Sendable, Equatable {
    case unset
    case variable(String)
    /// `variable` ends in `_FILE` and names `path`.
    case file(variable: String, path: String)
}

/// Finds the text of a setting in the environment: by its name, its aliases, and their `_FILE` forms.
struct SettingSource: Sendable {
    let environment: [String: String]

    struct Found: Sendable {
        var origin: SettingOrigin
        var text: String?
    }

    func find(_ setting: any AnySetting) throws(SettingProblem) -> Found {
        var found: [Found] = []
        for name in [setting.name] + setting.aliases {
            guard let next = try find(name, of: setting) else { continue }
            // The setting's own name wins; two aliases that disagree are for a person to sort out.
            if name == setting.name { return next }
            found.append(next)
        }
        guard let first = found.first else { return Found(origin: .unset) }
        guard found.allSatisfy({ $0.text == first.text }) else {
            let names = setting.aliases.filter { set($0) != nil || set($0 + "_FILE") != nil }
            throw SettingProblem(
                setting, reason: "\(names.joined(separator: " and ")) differ: set \(setting.name) instead")
        }
        return first
    }

    private func find(_ name: String, of setting: any AnySetting) throws(SettingProblem) -> Found? {
        let fileVariable = name + "_FILE"
        switch (set(name), set(fileVariable)) {
        case (nil, nil): return nil
        case (let text?, nil): return Found(origin: .variable(name), text: text)
        case (nil, let path?):
            let text = try SettingFile.read(path, for: setting, variable: fileVariable)
            return Found(origin: .file(variable: fileVariable, path: path), text: text)
        case (_?, _?):
            throw SettingProblem(
                setting, name: name, reason: "\(name) and \(fileVariable) are both set: keep one")
        }
    }

    private func set(_ name: String) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Reads the small files that hold settings.
enum SettingFile {
    static let bytesMax = 65_536

    /// The whole text without the line feeds at its end.
    static func read(
        _ path: String, for setting: any AnySetting, variable: String
    ) throws(SettingProblem) -> String {
        func problem(_ reason: String) -> SettingProblem {
            SettingProblem(setting, name: variable, reason: "file \"\(Redaction.shown(path))\" \(reason)")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw problem("cannot be read (\(String(cString: strerror(errno))))") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress?.advanced(by: count), $0.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw problem("cannot be read (\(String(cString: strerror(errno))))") }
            if got == 0 { break }
            count += got
        }
        guard count <= bytesMax else { throw problem("is larger than \(bytesMax) bytes") }
        while count > 0, bytes[count - 1] == UInt8(ascii: "\n") || bytes[count - 1] == UInt8(ascii: "\r") {
            count -= 1
        }
        guard count > 0 else { throw problem("is empty") }
        guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
            throw problem("is not UTF-8 text")
        }
        return text
    }

    /// Changes when the file is written or another one is put in its place; nil when it is not there.
    struct Version: Equatable, Sendable {
        var device: UInt64
        var inode: UInt64
        var modifiedSeconds: Int
        var modifiedNanoseconds: Int
        var bytes: Int

        init?(path: String) {
            var information = stat()
            guard stat(path, &information) == 0 else { return nil }
            device = UInt64(information.st_dev)
            inode = UInt64(information.st_ino)
            modifiedSeconds = Int(information.st_mtim.tv_sec)
            modifiedNanoseconds = Int(information.st_mtim.tv_nsec)
            bytes = Int(information.st_size)
        }
    }
}
