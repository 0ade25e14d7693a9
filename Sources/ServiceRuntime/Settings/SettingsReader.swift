/// Reads a program's settings from its environment and tells everything that is wrong at once.
///
/// `X_FILE` names a file that holds `X`: for secrets, which then stay out of the environment. Both set is an
/// error.
package struct SettingsReader: Sendable {
    private let source: SettingSource
    private let onReloadProblem: @Sendable (SettingProblem) -> Void

    /// - Parameters:
    ///   - environment: the process environment, e.g. `ProcessInfo.processInfo.environment`.
    ///   - onReloadProblem: told when a file of a ``WatchedSetting`` changed and cannot be used; the value
    ///     before stays in force.
    package init(
        environment: [String: String],
        onReloadProblem: @escaping @Sendable (SettingProblem) -> Void = { _ in }
    ) {
        source = SettingSource(environment: environment)
        self.onReloadProblem = onReloadProblem
    }

    /// - Throws: ``SettingsError`` with one problem for each setting that is missing or wrong.
    package func read(_ table: SettingsTable) throws(SettingsError) -> SettingValues {
        var values: [String: any Sendable] = [:]
        var origins: [String: SettingOrigin] = [:]
        var problems: [SettingProblem] = []
        for setting in table.settings {
            do {
                let read = try value(of: setting)
                values[setting.name] = read.value
                origins[setting.name] = read.origin
            } catch {
                problems.append(error)
            }
        }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        return SettingValues(
            program: table.program, values: values, origins: origins, onReloadProblem: onReloadProblem)
    }

    /// The texts of settings that are set, under their own names: aliases and files are resolved. For a program
    /// elsewhere, which has neither our environment nor our files.
    ///
    /// - Throws: ``SettingProblem``; not after the same settings were ``read(_:)``, unless a file has gone since.
    package func texts(of settings: [any AnySetting]) throws(SettingProblem) -> [String: String] {
        var texts: [String: String] = [:]
        for setting in settings { texts[setting.name] = try source.find(setting).text }
        return texts
    }

    /// The table with the values in force, for `--print-settings`: `NAME=value  # origin`, a problem in its
    /// place, secrets as `***`.
    package func report(_ table: SettingsTable) -> String {
        var lines: [String] = []
        for group in table.groups {
            lines.append("# \(group.title)")
            lines += group.settings.map(reportLine)
            lines.append("")
        }
        return lines.joined(separator: "\n")
    }

    private func reportLine(_ setting: any AnySetting) -> String {
        do {
            _ = try value(of: setting)
            let found = try source.find(setting)
            let text = found.text ?? setting.defaultText
            let shown = text.map { setting.isSecret ? "***" : Redaction.shown($0) } ?? ""
            let origin =
                switch found.origin {
                case .unset: setting.defaultText == nil ? "not set" : "default"
                case .variable(let name): name == setting.name ? "set" : "from \(name)"
                case .file(let variable, let path): "from \(variable)=\(Redaction.shown(path))"
                }
            return "\(setting.name)=\(shown)  # \(origin)"
        } catch {
            return "# problem: \(error)"
        }
    }

    private func value(
        of setting: any AnySetting
    ) throws(SettingProblem) -> (value: any Sendable, origin: SettingOrigin) {
        let found = try source.find(setting)
        guard let text = found.text else {
            guard let value = setting.absentValue() else {
                throw SettingProblem(setting, reason: "is not set")
            }
            return (value, found.origin)
        }
        guard let value = setting.parseAny(text) else {
            switch found.origin {
            case .unset: throw SettingProblem(setting, value: text)
            case .variable(let name): throw SettingProblem(setting, name: name, value: text)
            case .file(let name, let path):
                throw SettingProblem(
                    setting, value: text, note: " (from \(name)=\(Redaction.shown(path)))")
            }
        }
        return (value, found.origin)
    }
}

/// The values of a program's settings, all of them right.
package struct SettingValues: Sendable {
    /// The program of the table they were read by.
    package let program: String
    private let values: [String: any Sendable]
    private let origins: [String: SettingOrigin]
    private let onReloadProblem: @Sendable (SettingProblem) -> Void

    init(
        program: String, values: [String: any Sendable], origins: [String: SettingOrigin],
        onReloadProblem: @escaping @Sendable (SettingProblem) -> Void
    ) {
        self.program = program
        self.values = values
        self.origins = origins
        self.onReloadProblem = onReloadProblem
    }

    /// The value read at the start. The setting must be in the table that was read.
    package subscript<Value>(_ setting: Setting<Value>) -> Value {
        guard let value = values[setting.name] as? Value else {
            preconditionFailure(
                "setting \(setting.name) is not in the table of \(program), or has another type")
        }
        return value
    }

    /// Whether the table that was read has this setting.
    package func has(_ setting: any AnySetting) -> Bool { values[setting.name] != nil }

    package func origin(of setting: any AnySetting) -> SettingOrigin { origins[setting.name] ?? .unset }

    /// The setting as a value that follows its file, for secrets that are rotated under a running program.
    package func watched<Value>(_ setting: Setting<Value>) -> WatchedSetting<Value> {
        WatchedSetting(
            setting, value: self[setting], origin: origin(of: setting), onProblem: onReloadProblem)
    }
}
