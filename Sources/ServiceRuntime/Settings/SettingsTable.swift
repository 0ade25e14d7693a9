/// Settings that belong together, e.g. the connection to Kafka.
package struct SettingsGroup: Sendable {
    /// A heading, e.g. `Kafka connection`.
    package var title: String
    package var settings: [any AnySetting]

    package init(_ title: String, _ settings: [any AnySetting]) {
        self.title = title
        self.settings = settings
    }

    /// The group with some settings read into narrower types.
    package func replacing(_ narrower: [any AnySetting]) -> SettingsGroup {
        SettingsGroup(title, settings.map { old in narrower.first { $0.name == old.name } ?? old })
    }
}

/// Every setting one program reads; `--print-settings` and docs/configuration.md are made from it.
package struct SettingsTable: Sendable {
    /// E.g. `queue-manager`.
    package var program: String
    package var groups: [SettingsGroup]

    package init(program: String, groups: [SettingsGroup]) {
        self.program = program
        self.groups = groups
        var seen = Set<String>()
        for setting in settings {
            for name in [setting.name] + setting.aliases where !seen.insert(name).inserted {
                preconditionFailure("setting \(name) is declared twice in the table of \(program)")
            }
            if let text = setting.defaultText, setting.parseAny(text) == nil {
                preconditionFailure("the default of setting \(setting.name) is not a right value")
            }
        }
    }

    package var settings: [any AnySetting] { groups.flatMap(\.settings) }

    /// The table as Markdown: a heading and a table a group, lines end with a line feed.
    package func markdown(headingLevel: Int = 3) -> String {
        var lines: [String] = []
        for group in groups {
            lines += ["\(String(repeating: "#", count: headingLevel)) \(group.title)", ""]
            lines += ["| Variable | Default | Meaning | Expected | Example |", "|--|--|--|--|--|"]
            lines += group.settings.map(Self.markdownRow)
            lines.append("")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func markdownRow(_ setting: any AnySetting) -> String {
        let names = ["`\(setting.name)`"] + setting.aliases.map { "also `\($0)`" }
        let fallback = setting.defaultText.map { "`\($0)`" } ?? (setting.isRequired ? "required" : "none")
        let unit = setting.unit.isEmpty || setting.expects.contains(setting.unit) ? "" : " (\(setting.unit))"
        let example = setting.isSecret ? "secret" : "`\(setting.example)`"
        let cells = [names.joined(separator: ", "), fallback, setting.doc, setting.expects + unit, example]
        return "| \(cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ")) |"
    }
}
