/// A day of the proleptic Gregorian calendar, UTC, years 1970 to 9999.
package struct CivilDate: Sendable, Hashable, Comparable, CustomStringConvertible {
    package static let millisecondsPerDay: Int64 = 86_400_000

    package var year: Int
    package var month: Int
    package var day: Int

    /// nil when there is no such day.
    package init?(year: Int, month: Int, day: Int) {
        guard (1970...9999).contains(year), (1...12).contains(month), day >= 1,
            day <= Self.dayCount(year: year, month: month)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
    }

    /// Reads `YYYY-MM-DD`; nil for any other form or a day that does not exist.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-") else {
            return nil
        }
        let number = { (range: Range<Int>) -> Int? in
            bytes[range].reduce(Optional(0)) { sum, byte in
                guard let sum, (0x30...0x39).contains(byte) else { return nil }
                return sum * 10 + Int(byte - 0x30)
            }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10) else {
            return nil
        }
        self.init(year: year, month: month, day: day)
    }

    /// The day `days` after 1970-01-01.
    ///
    /// Counts in 400-year cycles of 146,097 days with the year beginning in March, so that the leap day is
    /// the last of a year (the usual derivation of civil dates from day numbers).
    package init(daysSince1970 days: Int64) {
        let shifted = Int(days) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    package var daysSince1970: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468)
    }

    /// Unix milliseconds at 00:00 UTC.
    package var startMilliseconds: Int64 { daysSince1970 * Self.millisecondsPerDay }

    /// `YYYY-MM-DD`.
    package var description: String { text(separator: "-") }
    /// `YYYYMMDD`, as in queue ids.
    package var compactText: String { text(separator: "") }
    /// `YYYY_MM_DD`, as in collection names.
    package var underscoredText: String { text(separator: "_") }

    package static func < (left: CivilDate, right: CivilDate) -> Bool {
        (left.year, left.month, left.day) < (right.year, right.month, right.day)
    }

    private func text(separator: String) -> String {
        zeroPadded(year, digits: 4) + separator + zeroPadded(month, digits: 2) + separator
            + zeroPadded(day, digits: 2)
    }

    private static func dayCount(year: Int, month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

/// Days of a load, both included, UTC; written `2024-08-01:2024-08-07`.
package struct DayRange: Sendable, Hashable, CustomStringConvertible {
    package let first: CivilDate
    package let last: CivilDate

    /// nil when `last` lies before `first`.
    package init?(first: CivilDate, last: CivilDate) {
        guard first <= last else { return nil }
        self.first = first
        self.last = last
    }

    /// Reads `YYYY-MM-DD:YYYY-MM-DD`; nil for any other form or a reversed range.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = CivilDate(parts[0]), let last = CivilDate(parts[1]) else {
            return nil
        }
        self.init(first: first, last: last)
    }

    /// Unix milliseconds of the first day's 00:00.
    package var startMilliseconds: Int64 { first.startMilliseconds }
    /// Unix milliseconds of the last day's 24:00, which is not part of the range.
    package var endMilliseconds: Int64 { last.startMilliseconds + CivilDate.millisecondsPerDay }
    package var dayCount: Int64 { last.daysSince1970 - first.daysSince1970 + 1 }
    package var description: String { "\(first):\(last)" }
}

/// Decimal digits with leading zeros; numbers with more digits stay whole.
package func zeroPadded(_ value: some BinaryInteger, digits: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
