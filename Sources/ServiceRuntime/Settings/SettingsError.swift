/// What is wrong with the environment, all of it at once.
package struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    package var problems: [SettingProblem]

    package init(problems: [SettingProblem]) {
        self.problems = problems
    }

    /// One line a problem.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// One thing wrong with one setting.
package struct SettingProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The variable as it was set, e.g. `KAFKA_CA_PATH` for the alias of `CA_PATH`.
    package var name: String
    /// What is wrong; never holds a secret.
    package var reason: String
    package var expects: String
    /// nil for secrets.
    package var example: String?

    package init(_ setting: any AnySetting, name: String? = nil, reason: String) {
        self.name = name ?? setting.name
        self.reason = reason
        expects = setting.expects
        example = setting.isSecret ? nil : setting.example
    }

    /// A value that is set but not right.
    package init(_ setting: any AnySetting, name: String? = nil, value: String, note: String = "") {
        let shown = setting.isSecret ? "the value (not shown)" : "\"\(Redaction.shown(value))\""
        self.init(setting, name: name, reason: "\(shown)\(note) is not right")
    }

    package var description: String {
        let hint = example.map { ", e.g. \(name)=\($0)" } ?? ""
        return "\(name): \(reason), expected \(expects)\(hint)"
    }
}

/// Makes a setting's text fit to be shown to people.
package enum Redaction {
    package static let charactersMax = 200

    /// One line, shortened, control characters escaped, `user:password@` of a URL replaced.
    package static func shown(_ text: String) -> String {
        var result = ""
        for scalar in text.prefix(charactersMax).unicodeScalars {
            result +=
                scalar.value < 0x20 || scalar.value == 0x7f ? scalar.escaped(asASCII: true) : "\(scalar)"
        }
        if text.count > charactersMax { result += "…" }
        return hidingCredentials(result)
    }

    private static func hidingCredentials(_ text: String) -> String {
        guard let scheme = text.firstRange(of: "://") else { return text }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard let at = authority.lastIndex(of: "@") else { return text }
        return text[..<scheme.upperBound] + "***" + text[at...]
    }
}
