import MarketData

extension CronExpression {
    /// 29 February is the rarest day: from 2096 to 2104 there is none for 8 years.
    private static let searchDaysMax = 8 * 366 + 32
    /// In a schedule of every hour no two firings of one day lie further apart, whatever the clock does.
    private static let hourlyGapSeconds: Int64 = 3 * 3_600

    /// The next time after `time` (Unix seconds, exclusive) at which the schedule fires.
    ///
    /// When the clock is changed:
    /// - A schedule that names hours fires once for each time it names. A time that does not exist fires when
    ///   the clock is put forward over it; one that comes twice fires the first time.
    /// - A schedule of every hour fires whenever the wall clock shows a minute it names, so neither more
    ///   seldom nor more often than real time goes on.
    ///
    /// - Returns: nil when the years end that the calendar knows.
    package func next(after time: Int64, in zone: ScheduleZone) -> Int64? {
        guard (0...253_000_000_000).contains(time) else { return nil }
        return hours.isAll ? nextOfEveryHour(after: time, zone) : nextOfNamedHours(after: time, zone)
    }

    /// The times after `time`, at most `count`.
    package func next(_ count: Int, after time: Int64, in zone: ScheduleZone) -> [Int64] {
        var times: [Int64] = []
        var last = time
        while times.count < count, let next = next(after: last, in: zone) {
            times.append(next)
            last = next
        }
        return times
    }

    /// Local times rise as their instants do, so the first one that is late enough is the answer.
    private func nextOfNamedHours(after time: Int64, _ zone: ScheduleZone) -> Int64? {
        let now = zone.local(at: time)
        var date = now.date
        for _ in 0..<Self.searchDaysMax {
            if matches(date) {
                for hour in hours.values {
                    for minute in minutes.values {
                        let local = LocalMinute(date: date, minute: hour * 60 + minute)
                        guard local > now else { continue }
                        let instant = zone.instant(of: local)
                        if instant > time { return instant }
                    }
                }
            }
            date = date.next
        }
        return nil
    }

    private func nextOfEveryHour(after time: Int64, _ zone: ScheduleZone) -> Int64? {
        let minute = floorDivide(time, 60) * 60 + 60
        if let found = firstMatch(from: minute, zone) { return found }
        var date = zone.local(at: time).date
        for _ in 0..<Self.searchDaysMax {
            date = date.next
            guard matches(date) else { continue }
            let start = zone.instant(of: LocalMinute(date: date, minute: 0))
            if let found = firstMatch(from: max(start, minute), zone) { return found }
        }
        return nil
    }

    /// Goes through real minutes.
    private func firstMatch(from start: Int64, _ zone: ScheduleZone) -> Int64? {
        for instant in stride(from: start, to: start + Self.hourlyGapSeconds, by: 60) {
            let local = zone.local(at: instant)
            if minutes.contains(local.minute % 60), matches(local.date) { return instant }
        }
        return nil
    }
}
