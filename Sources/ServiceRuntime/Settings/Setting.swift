/// One environment variable, declared once: how it is called, what it means, what it may hold.
///
/// A setting may always be given as a file instead: `X_FILE=/run/secrets/x` gives `X`, see ``SettingsReader``.
/// An empty value counts as not set.
package struct Setting<Value: Sendable>: AnySetting {
    /// What holds when nobody sets it.
    package enum Absent: Sendable {
        /// The program does not start without it.
        case refused
        /// The text that would have been set, e.g. `8000`; it goes through `parse` like any other.
        case text(String)
        /// A value no text stands for, e.g. nil; the table says `none`.
        case value(Value)
    }

    package var name: String
    /// Other names that are accepted, in order of precedence; `name` itself wins over all of them.
    package var aliases: [String] = []
    package var absent: Absent
    /// E.g. `seconds`; empty when it has none.
    package var unit = ""
    /// One sentence for the reader of docs/configuration.md.
    package var doc: String
    /// What a right value looks like, to follow "expected", e.g. `a whole number from 0 to 65535`.
    package var expects: String
    package var example: String
    /// Never printed, logged or quoted in an error.
    package var isSecret = false
    /// nil when the text is not a value of this setting.
    package var parse: @Sendable (String) -> Value?

    package init(
        _ name: String, absent: Absent, expects: String, example: String, doc: String,
        parse: @escaping @Sendable (String) -> Value?
    ) {
        self.name = name
        self.absent = absent
        self.expects = expects
        self.example = example
        self.doc = doc
        self.parse = parse
    }

    package var isRequired: Bool {
        if case .refused = absent { true } else { false }
    }

    package var defaultText: String? {
        if case .text(let text) = absent { text } else { nil }
    }

    package func parseAny(_ text: String) -> (any Sendable)? { parse(text) }

    package func absentValue() -> (any Sendable)? {
        switch absent {
        case .refused: nil
        case .text(let text): parse(text)
        case .value(let value): value
        }
    }
}

/// A setting of any type, as tables hold it.
package protocol AnySetting: Sendable {
    var name: String { get }
    var aliases: [String] { get }
    var unit: String { get }
    var doc: String { get }
    var expects: String { get }
    var example: String { get }
    var isSecret: Bool { get }
    var isRequired: Bool { get }
    /// nil when it is required or when no text stands for its default.
    var defaultText: String? { get }
    func parseAny(_ text: String) -> (any Sendable)?
    /// nil when it is required.
    func absentValue() -> (any Sendable)?
}

// MARK: - Variants of a declaration

extension Setting {
    package func alias(_ names: String...) -> Setting { changed { $0.aliases += names } }

    package func unit(_ unit: String) -> Setting { changed { $0.unit = unit } }

    package func secret() -> Setting { changed { $0.isSecret = true } }

    /// The same variable without which this program does not start.
    package func required() -> Setting { changed { $0.absent = .refused } }

    /// The same variable with this program's own default.
    package func fallback(_ text: String) -> Setting { changed { $0.absent = .text(text) } }

    /// The same variable read into a narrower type, e.g. a validated id.
    ///
    /// - Parameters:
    ///   - expects: what a right value looks like; nil keeps the description.
    ///   - transform: nil when the value is not right.
    package func typed<New: Sendable>(
        expects: String? = nil, _ transform: @escaping @Sendable (Value) -> New?
    ) -> Setting<New> {
        let absent: Setting<New>.Absent =
            switch absent {
            case .refused: .refused
            case .text(let text): .text(text)
            case .value(let value): transform(value).map { .value($0) } ?? .refused
            }
        var new = Setting<New>(
            name, absent: absent, expects: expects ?? self.expects, example: example, doc: doc,
            parse: { [parse] text in parse(text).flatMap(transform) })
        new.aliases = aliases
        new.unit = unit
        new.isSecret = isSecret
        return new
    }

    /// The same variable, nil when nobody sets it.
    package func optional() -> Setting<Value?> {
        var new = Setting<Value?>(
            name, absent: .value(nil), expects: expects, example: example, doc: doc,
            parse: { [parse] text in parse(text).map { .some($0) } })
        new.aliases = aliases
        new.unit = unit
        new.isSecret = isSecret
        return new
    }

    private func changed(_ change: (inout Setting) -> Void) -> Setting {
        var copy = self
        change(&copy)
        return copy
    }
}
