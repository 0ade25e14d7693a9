/// Why a cron expression was refused.
package struct CronError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Which of the five fields, e.g. `day-of-month`; nil when it is the whole.
    package var field: String?
    package var value: String
    package var message: String
    /// What would be right.
    package var hint: String

    package var description: String {
        "\(field.map { "\($0) " } ?? "")\"\(value)\": \(message); \(hint)"
    }
}

/// One of the five fields of a cron expression: a set of small numbers.
struct CronField: Sendable, Hashable {
    enum Kind: String, CaseIterable, Sendable {
        case minute, hour
        case dayOfMonth = "day-of-month"
        case month
        case dayOfWeek = "day-of-week"

        /// 7 is Sunday too.
        var range: ClosedRange<Int> {
            switch self {
            case .minute: 0...59
            case .hour: 0...23
            case .dayOfMonth: 1...31
            case .month: 1...12
            case .dayOfWeek: 0...7
            }
        }

        var names: [String] {
            switch self {
            case .month:
                [
                    "", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
                ]
            case .dayOfWeek: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
            case .minute, .hour, .dayOfMonth: []
            }
        }

        var hint: String {
            let numbers = "\(range.lowerBound) to \(range.upperBound)"
            let words = names.filter { !$0.isEmpty }
            let spelled = words.isEmpty ? "" : " or \(words[0]) to \(words[words.count - 1])"
            let last = self == .dayOfMonth ? ", L for the last day" : ""
            return "Give \(numbers)\(spelled)\(last), lists 1,3, ranges 1-5, steps */2 or 1-9/2, or *"
        }
    }

    /// Bit n is set when n is meant.
    private(set) var bits: UInt64 = 0
    /// `L` was given: the last day of the month.
    private(set) var includesLastDay = false
    let kind: Kind

    init(_ text: String, _ kind: Kind) throws(CronError) {
        self.kind = kind
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            try add(String(part), of: text)
        }
        // Both 0 and 7 are Sunday; one bit is enough.
        if kind == .dayOfWeek, contains(7) { bits = (bits | 1) & ~(1 << 7) }
    }

    func contains(_ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }
    var values: [Int] { kind.range.filter(contains) }

    /// Names every value there is, however that was written.
    var isAll: Bool { values.count == (kind == .dayOfWeek ? 7 : kind.range.count) }

    private mutating func add(_ part: String, of text: String) throws(CronError) {
        let pieces = part.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(pieces.count) else { throw error(text, "\(part) has more than one step") }
        if pieces[0].uppercased() == "L", kind == .dayOfMonth, pieces.count == 1 {
            includesLastDay = true
            return
        }
        let range = try range(pieces[0], of: text)
        var step = 1
        if pieces.count == 2 {
            guard pieces[0] == "*" || pieces[0].contains("-") else {
                throw error(
                    text, "a step needs a range", hint: "Write \(pieces[0])-\(kind.range.upperBound)/…")
            }
            guard let number = Self.number(pieces[1]), (1...kind.range.upperBound).contains(number) else {
                throw error(
                    text, "\(pieces[1].prefix(20)) is no step",
                    hint: "Give a whole number from 1 to \(kind.range.upperBound)")
            }
            step = number
        }
        for value in stride(from: range.lowerBound, through: range.upperBound, by: step) {
            bits |= 1 << UInt64(value)
        }
    }

    private func range(_ text: String, of whole: String) throws(CronError) -> ClosedRange<Int> {
        if text == "*" { return kind == .dayOfWeek ? 0...6 : kind.range }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(ends.count) else { throw error(whole, "\(text.prefix(20)) is no range") }
        let first = try value(ends[0], of: whole)
        var last = try ends.count == 2 ? value(ends[1], of: whole) : first
        // A week may also end with its Sunday.
        if kind == .dayOfWeek, ends.count == 2, last == 0, first > 0 { last = 7 }
        guard first <= last else {
            throw error(
                whole, "\(text) is reversed",
                hint: "Write \(ends[0])-\(kind.range.upperBound),\(kind.range.lowerBound)-\(ends[1])")
        }
        return first...last
    }

    private func value(_ text: String, of whole: String) throws(CronError) -> Int {
        if let index = kind.names.firstIndex(of: text.uppercased()), !text.isEmpty { return index }
        guard let number = Self.number(text), kind.range.contains(number) else {
            throw error(
                whole,
                text.isEmpty ? "something is missing" : "there is no \(kind.rawValue) \(text.prefix(20))")
        }
        return number
    }

    /// Digits only: `Int` would also read a sign.
    private static func number(_ text: String) -> Int? {
        (1...3).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
            ? Int(text) : nil
    }

    private func error(_ value: String, _ message: String, hint: String? = nil) -> CronError {
        CronError(
            field: kind.rawValue, value: String(value.prefix(80)), message: message, hint: hint ?? kind.hint)
    }
}
