// The kinds of values settings hold. Each builds a required setting; `fallback`, `optional`, `alias` and
// `secret` vary it.

extension Setting where Value == String {
    /// Any text without control characters, at most 32 KiB.
    package static func text(_ name: String, example: String, doc: String) -> Setting {
        Setting(name, absent: .refused, expects: "a text", example: example, doc: doc) { text in
            let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
            return isPlain && text.utf8.count <= 32_768 ? text : nil
        }
    }

    /// A secret of any characters; its bounds are only those of a setting's file.
    package static func secret(_ name: String, doc: String) -> Setting {
        Setting(name, absent: .refused, expects: "a secret text", example: "***", doc: doc) { $0 }.secret()
    }

    /// An absolute URL of one of the schemes, with a host and without user and password in it.
    package static func url(
        _ name: String, schemes: [String] = ["http", "https"], example: String, doc: String
    ) -> Setting {
        let expects = "a URL that begins with \(schemes.map { "\($0)://" }.joined(separator: " or "))"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            guard let scheme = schemes.first(where: { text.hasPrefix("\($0)://") }) else { return nil }
            let rest = text.utf8.dropFirst(scheme.utf8.count + 3)
            let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
            let isClean = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
            return !authority.isEmpty && !authority.contains(UInt8(ascii: "@")) && isClean ? text : nil
        }
    }

    /// An absolute path of a file or folder.
    package static func path(_ name: String, example: String, doc: String) -> Setting {
        Setting(name, absent: .refused, expects: "an absolute path", example: example, doc: doc) { text in
            text.hasPrefix("/") && !text.utf8.contains(0) && text.utf8.count < 4_096 ? text : nil
        }
    }
}

extension Setting where Value: FixedWidthInteger & Sendable {
    package static func integer(
        _ name: String, in bounds: ClosedRange<Value>, example: String, doc: String
    ) -> Setting {
        let expects =
            bounds.upperBound == .max
            ? "a whole number from \(bounds.lowerBound)"
            : "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            guard let value = Value(text), bounds.contains(value) else { return nil }
            return value
        }
    }
}

extension Setting where Value == Duration {
    /// Seconds, also with decimals: `0.5`.
    package static func seconds(
        _ name: String, in bounds: ClosedRange<Double>, example: String, doc: String
    ) -> Setting {
        let expects = "seconds from \(plain(bounds.lowerBound)) to \(plain(bounds.upperBound))"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            guard let value = Double(text), bounds.contains(value) else { return nil }
            return .seconds(value)
        }.unit("seconds")
    }

    private static func plain(_ number: Double) -> String {
        Int64(exactly: number).map(String.init) ?? String(number)
    }
}

extension Setting where Value == Bool {
    package static func flag(_ name: String, doc: String) -> Setting {
        Setting(name, absent: .text("false"), expects: "true or false", example: "true", doc: doc) { text in
            switch text.lowercased() {
            case "true", "1", "yes": true
            case "false", "0", "no": false
            default: nil
            }
        }
    }
}

extension Setting where Value == [Int32] {
    /// Partition numbers with commas between, each once: `0` or `0,1,2`; at most 10,000.
    package static func partitions(_ name: String, example: String, doc: String) -> Setting {
        let expects = "partition numbers with commas between"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            let numbers = parts.compactMap { Int32($0) }.filter { $0 >= 0 }
            guard numbers.count == parts.count, Set(numbers).count == numbers.count, numbers.count <= 10_000
            else { return nil }
            return numbers
        }
    }
}

extension Setting where Value == [String] {
    /// Names with commas between: `a,b`; blanks around a name are dropped.
    package static func list(_ name: String, example: String, doc: String) -> Setting {
        let expects = "names with commas between"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            let names = text.split(separator: ",", omittingEmptySubsequences: false).map {
                String($0.trimmingBlanks)
            }
            return names.contains("") ? nil : names
        }
    }
}

extension Setting where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
    /// One of a closed set of words.
    package static func choice(_ name: String, example: String, doc: String) -> Setting {
        let expects = "one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
        return Setting(name, absent: .refused, expects: expects, example: example, doc: doc) {
            Value(rawValue: $0)
        }
    }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    var trimmingBlanks: SubSequence {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) })
        else { return self[endIndex...] }
        return self[first...last]
    }
}
