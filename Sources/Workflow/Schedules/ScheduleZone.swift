import Foundation
import MarketData

/// A wall clock's minute without a zone.
package struct LocalMinute: Sendable, Hashable, Comparable {
    package var date: CivilDate
    /// Minutes since 00:00, 0 to 1,439.
    package var minute: Int

    package init(date: CivilDate, minute: Int) {
        self.date = date
        self.minute = minute
    }

    /// Seconds since 1970-01-01 00:00 of the same wall clock.
    var seconds: Int64 { date.daysSince1970 * 86_400 + Int64(minute) * 60 }

    package static func < (left: LocalMinute, right: LocalMinute) -> Bool { left.seconds < right.seconds }
}

/// A time zone by its IANA name, e.g. `Europe/Berlin`, as far as schedules need it.
///
/// Times are Unix seconds. The rules of daylight saving come with Foundation.
package struct ScheduleZone: Sendable, Hashable, CustomStringConvertible {
    package static let utc = ScheduleZone(name: "UTC", zone: .gmt)

    package let name: String
    private let zone: TimeZone

    private init(name: String, zone: TimeZone) {
        self.name = name
        self.zone = zone
    }

    /// nil for a name that is not known. Abbreviations such as EST are refused, as they mean several zones.
    package init?(_ name: String) {
        if name == "UTC" {
            self = .utc
            return
        }
        guard name.contains("/"), let zone = TimeZone(identifier: name) else { return nil }
        self.init(name: name, zone: zone)
    }

    package var description: String { name }

    /// Seconds that the wall clock is ahead of UTC at `time`.
    package func offset(at time: Int64) -> Int64 {
        Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time))))
    }

    /// The wall clock's minute at `time`; seconds are cut off.
    package func local(at time: Int64) -> LocalMinute {
        let local = time + offset(at: time)
        let day = floorDivide(local, 86_400)
        return LocalMinute(date: CivilDate(daysSince1970: day), minute: Int((local - day * 86_400) / 60))
    }

    /// When the wall clock shows `local`: the first time where it does so twice; where it never does, the
    /// time at which the clock is put forward over it.
    package func instant(of local: LocalMinute) -> Int64 {
        let wall = local.seconds
        // No zone has two changes within two days, so these are the offsets on both sides of one.
        let earlier = offset(at: wall - 86_400)
        let later = offset(at: wall + 86_400)
        let real = [wall - earlier, wall - later].filter { $0 + offset(at: $0) == wall }
        if let first = real.min() { return first }
        var low = wall - max(earlier, later)
        var high = wall - min(earlier, later)
        while low < high {
            let middle = low + (high - low) / 2
            if middle + offset(at: middle) >= wall { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
