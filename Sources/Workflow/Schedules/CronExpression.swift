import MarketData

/// When a schedule fires: five fields, minute, hour, day of month, month, day of week.
///
/// Each field takes `*`, numbers, ranges `1-5`, steps `*/15` or `10-40/10`, lists of these, months and days
/// of the week also by name (`JAN`, `MON`), and the day of the month `L` for the last. 0 and 7 are Sunday.
/// When both day fields leave something out, a day that either of them names will do; otherwise both must.
/// `@hourly`, `@daily` (`@midnight`), `@weekly`, `@monthly`, `@yearly` (`@annually`) are their usual forms.
package struct CronExpression: Sendable, Hashable, CustomStringConvertible {
    package static let charactersMax = 256

    private static let aliases = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// As it was written.
    package let text: String
    let minutes: CronField
    let hours: CronField
    private let daysOfMonth: CronField
    private let months: CronField
    private let daysOfWeek: CronField

    package init(_ text: String) throws(CronError) {
        self.text = text
        guard text.utf8.count <= Self.charactersMax else {
            throw CronError(
                value: String(text.prefix(80)), message: "it is too long",
                hint: "At most \(Self.charactersMax) characters")
        }
        var spelled = text
        if text.hasPrefix("@") {
            guard let known = Self.aliases[text.lowercased()] else {
                throw CronError(
                    value: String(text.prefix(80)), message: "there is no such name",
                    hint: "One of \(Self.aliases.keys.sorted().joined(separator: ", "))")
            }
            spelled = known
        }
        let parts = spelled.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        guard parts.count == 5 else {
            throw CronError(
                value: String(text.prefix(80)), message: "it has \(parts.count) fields",
                hint: "Five: minute hour day-of-month month day-of-week, e.g. 30 2 * * MON-FRI")
        }
        minutes = try CronField(parts[0], .minute)
        hours = try CronField(parts[1], .hour)
        daysOfMonth = try CronField(parts[2], .dayOfMonth)
        months = try CronField(parts[3], .month)
        daysOfWeek = try CronField(parts[4], .dayOfWeek)
        try checkItFires(parts)
    }

    package var description: String { text }

    /// Whether the schedule fires on this day at all.
    func matches(_ date: CivilDate) -> Bool {
        guard months.contains(date.month) else { return false }
        // 1970-01-01 was a Thursday.
        let weekday = Int((date.daysSince1970 + 4) % 7)
        let inWeek = daysOfWeek.contains(weekday)
        let inMonth =
            daysOfMonth.contains(date.day) || (daysOfMonth.includesLastDay && date.isLastOfMonth)
        return !daysOfMonth.isAll && !daysOfWeek.isAll ? inMonth || inWeek : inMonth && inWeek
    }

    /// 30 February never comes.
    private func checkItFires(_ parts: [String]) throws(CronError) {
        guard daysOfWeek.isAll, !daysOfMonth.includesLastDay, let first = daysOfMonth.values.first else {
            return
        }
        let longest = months.values.map { $0 == 2 ? 29 : [4, 6, 9, 11].contains($0) ? 30 : 31 }.max() ?? 0
        guard first > longest else { return }
        throw CronError(
            field: CronField.Kind.dayOfMonth.rawValue, value: parts[2],
            message: "it never fires: the months \(parts[3]) have at most \(longest) days",
            hint: "Give a day up to \(longest), or L for the last day")
    }
}

extension CivilDate {
    var isLastOfMonth: Bool { CivilDate(year: year, month: month, day: day + 1) == nil }
    var next: CivilDate { CivilDate(daysSince1970: daysSince1970 + 1) }
}
