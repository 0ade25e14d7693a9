/// The candle intervals of the exchange (spot REST reference, `klines`).
///
/// `rawValue` is the exchange's spelling and case-sensitive: `1m` is a minute, `1M` a month.
package enum KlineInterval: String, Sendable, Hashable, CaseIterable {
    case second1 = "1s"
    case minute1 = "1m"
    case minute3 = "3m"
    case minute5 = "5m"
    case minute15 = "15m"
    case minute30 = "30m"
    case hour1 = "1h"
    case hour2 = "2h"
    case hour4 = "4h"
    case hour6 = "6h"
    case hour8 = "8h"
    case hour12 = "12h"
    case day1 = "1d"
    case day3 = "3d"
    case week1 = "1w"
    case month1 = "1M"

    /// The spelling in keys, collections and types: as the exchange's, but a month is `1mo`, because
    /// ArangoDB compares by language rules, in which `1m` and `1M` are neighbours.
    package var keyText: String { self == .month1 ? "1mo" : rawValue }

    package init?(keyText: String) {
        if keyText == "1mo" {
            self = .month1
        } else if keyText != "1M", let interval = KlineInterval(rawValue: keyText) {
            self = interval
        } else {
            return nil
        }
    }

    /// The length of one candle in milliseconds; nil for a month, which has none.
    package var milliseconds: Int64? {
        switch self {
        case .second1: 1_000
        case .minute1: 60_000
        case .minute3: 180_000
        case .minute5: 300_000
        case .minute15: 900_000
        case .minute30: 1_800_000
        case .hour1: 3_600_000
        case .hour2: 7_200_000
        case .hour4: 14_400_000
        case .hour6: 21_600_000
        case .hour8: 28_800_000
        case .hour12: 43_200_000
        case .day1: 86_400_000
        case .day3: 259_200_000
        case .week1: 604_800_000
        case .month1: nil
        }
    }

    /// The open time of the candle that holds `time` (both Unix milliseconds, UTC).
    ///
    /// Weeks begin on Monday, months on the first; all others are multiples of their length since 1970.
    package func openTime(containing time: Int64) -> Int64 {
        switch self {
        case .month1:
            var date = CivilDate(daysSince1970: floorDivide(time, CivilDate.millisecondsPerDay))
            date.day = 1
            return date.startMilliseconds
        case .week1:
            // 1970-01-01 was a Thursday, so Mondays lie four days after a multiple of seven days.
            let shift = 4 * CivilDate.millisecondsPerDay
            return floorDivide(time - shift, 604_800_000) * 604_800_000 + shift
        default:
            guard let milliseconds else { preconditionFailure("only months have no length") }
            return floorDivide(time, milliseconds) * milliseconds
        }
    }

    /// The open time of the candle after the one that opens at `openTime`.
    package func openTime(after openTime: Int64) -> Int64 {
        if let milliseconds { return openTime + milliseconds }
        let date = CivilDate(daysSince1970: floorDivide(openTime, CivilDate.millisecondsPerDay))
        let next =
            date.month == 12
            ? CivilDate(year: date.year + 1, month: 1, day: 1)
            : CivilDate(year: date.year, month: date.month + 1, day: 1)
        guard let next else { preconditionFailure("the first of a month exists") }
        return next.startMilliseconds
    }

    /// How many candles open in `from ..< to` when there is no hole.
    package func candleCount(from: Int64, to: Int64) -> Int64 {
        guard to > from else { return 0 }
        if let milliseconds {
            let shift = openTime(containing: 0)
            let before = { (time: Int64) in -floorDivide(-(time - shift), milliseconds) }
            return before(to) - before(from)
        }
        var open = openTime(containing: from)
        if open < from { open = openTime(after: open) }
        var count: Int64 = 0
        while open < to {
            count += 1
            open = openTime(after: open)
        }
        return count
    }
}

/// Division that rounds towards minus infinity, so that times before 1970 fall into the right bucket.
package func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
