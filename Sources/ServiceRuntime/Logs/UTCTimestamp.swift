import Glibc

/// A moment of the wall clock, for people.
package struct UTCTimestamp: Sendable, Hashable, CustomStringConvertible {
    /// Since 1970-01-01T00:00:00Z; never negative.
    package var milliseconds: Int64

    package init(milliseconds: Int64) {
        self.milliseconds = max(0, milliseconds)
    }

    package static func now() -> UTCTimestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UTCTimestamp(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Unix seconds with fraction.
    package var seconds: Double { Double(milliseconds) / 1_000 }

    /// RFC 3339 with milliseconds: `2024-08-01T00:00:00.000Z`.
    package var description: String {
        let (days, ofDay) = milliseconds.quotientAndRemainder(dividingBy: 86_400_000)
        let date = Self.date(daysSince1970: days)
        let clock = [ofDay / 3_600_000, ofDay / 60_000 % 60, ofDay / 1_000 % 60].map { Self.padded($0, 2) }
        let day = "\(Self.padded(date.year, 4))-\(Self.padded(date.month, 2))-\(Self.padded(date.day, 2))"
        return "\(day)T\(clock.joined(separator: ":")).\(Self.padded(ofDay % 1_000, 3))Z"
    }

    /// Gregorian date by counting 400-year eras from 0000-03-01, so that the leap day ends a year.
    private static func date(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = daysSince1970 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    private static func padded(_ number: Int64, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
