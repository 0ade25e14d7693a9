import MarketData

/// Fills placeholders such as `${schedule.day-1}` in the strings of a request body.
///
/// A placeholder is `${`, the namespace, a point, a name, for days and months also `+` or `-` and a number,
/// and `}`. Whatever else begins with `${` belongs to others and stays as it is. Field names are not touched.
package struct BodyPlaceholders: Sendable {
    /// Years, in days.
    package static let shiftMax = 3_660

    /// What stands between the point and the brace.
    struct Word: Sendable, Hashable {
        var name: String
        /// 0 when none was given.
        var shift: Int
        var hasShift: Bool
    }

    let namespace: String
    /// nil for a name that is not known or that bears no shift.
    let value: @Sendable (Word) -> String?
    /// The known forms, for errors.
    let hint: String

    /// - Throws: ``RequestError`` `invalid_value` with the field, e.g. `request.steps[0].time_range`.
    package func fill(_ body: JSONValue, path: String) throws(RequestError) -> JSONValue {
        switch body {
        case .string(let text): return .string(try fill(text, path: path))
        case .array(let items):
            var filled: [JSONValue] = []
            for (index, item) in items.enumerated() {
                filled.append(try fill(item, path: "\(path)[\(index)]"))
            }
            return .array(filled)
        case .object(let fields):
            var filled: [String: JSONValue] = [:]
            // In order, so that the same error is told each time.
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                filled[name] = try fill(field, path: path.isEmpty ? name : "\(path).\(name)")
            }
            return .object(filled)
        case .null, .bool, .integer, .number: return body
        }
    }

    package func fill(_ text: String, path: String) throws(RequestError) -> String {
        let mark = "${\(namespace)."
        var rest = text[...]
        var filled = ""
        while let start = rest.firstRange(ofText: mark) {
            filled += rest[..<start.lowerBound]
            let word = rest[start.upperBound...].prefix { $0 != "}" }
            let placeholder = "\(mark)\(word.prefix(40))}"
            guard word.endIndex < rest.endIndex else {
                throw RequestError(
                    .invalidValue, "A placeholder has no end", field: path,
                    value: "\(mark)\(word.prefix(40))",
                    hint: "Close it with }: \(hint)")
            }
            guard let parsed = Word(word), abs(parsed.shift) <= Self.shiftMax, let value = value(parsed)
            else {
                throw RequestError(
                    .invalidValue, "There is no placeholder \(placeholder)", field: path, value: placeholder,
                    hint: hint)
            }
            filled += value
            rest = rest[word.endIndex...].dropFirst()
        }
        return filled + rest
    }

    /// Whether some string of `body` holds a placeholder of this namespace.
    package func isUsed(in body: JSONValue) -> Bool {
        switch body {
        case .string(let text): text[...].firstRange(ofText: "${\(namespace).") != nil
        case .array(let items): items.contains(where: isUsed)
        case .object(let fields): fields.values.contains(where: isUsed)
        case .null, .bool, .integer, .number: false
        }
    }
}

extension BodyPlaceholders.Word {
    /// `name`, `name-1`, `name+12`.
    init?(_ text: Substring) {
        name = String(text.prefix { $0 != "-" && $0 != "+" })
        let tail = text.dropFirst(name.count)
        hasShift = !tail.isEmpty
        shift = 0
        guard hasShift else { return }
        // `Int` reads the sign too.
        guard (2...5).contains(tail.utf8.count), tail.dropFirst().utf8.allSatisfy(\.isASCIIDigit),
            let number = Int(tail)
        else { return nil }
        shift = number
    }
}

extension Substring {
    fileprivate func firstRange(ofText text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}

extension BodyPlaceholders {
    /// What a schedule's request may say of the time it is fired for.
    ///
    /// | placeholder | meaning |
    /// |--|--|
    /// | `${schedule.day}`, `${schedule.day-1}` | the fire time's day, UTC as every time range; one before |
    /// | `${schedule.local_day}`, `${schedule.local_day-1}` | the same in the schedule's time zone |
    /// | `${schedule.month_first}`, `${schedule.month_first-1}` | first day of that month, UTC; of the one before |
    /// | `${schedule.month_last}`, `${schedule.month_last-1}` | last day of that month, UTC; of the one before |
    /// | `${schedule.time}` | the fire time, `2024-08-01T02:00:00Z` |
    /// | `${schedule.name}` | the schedule's name |
    ///
    /// - Parameter fireTime: Unix seconds, as the expression says, without jitter.
    package static func schedule(_ name: ObjectName, fireTime: Int64, zone: ScheduleZone) -> BodyPlaceholders
    {
        let day = floorDivide(fireTime, 86_400)
        let month = CivilDate(daysSince1970: day)
        return BodyPlaceholders(
            namespace: "schedule",
            value: { word in
                switch word.name {
                case "day": CivilDate(daysSince1970: day + Int64(word.shift)).description
                case "local_day":
                    CivilDate(
                        daysSince1970: zone.local(at: fireTime).date.daysSince1970 + Int64(word.shift)
                    ).description
                case "month_first": month.firstOfMonth(shiftedBy: word.shift)?.description
                case "month_last":
                    month.firstOfMonth(shiftedBy: word.shift + 1).map {
                        CivilDate(daysSince1970: $0.daysSince1970 - 1).description
                    }
                case "time": word.hasShift ? nil : UTCText.seconds(fireTime)
                case "name": word.hasShift ? nil : name.rawValue
                default: nil
                }
            },
            hint:
                "Known: ${schedule.day-1}, local_day-1, month_first-1, month_last-1 (any number), time, name")
    }

    /// What a backfill's request may say of its shard: `${shard.first}`, `${shard.last}`, `${shard.range}`
    /// (first:last) and `${shard.number}`, from 1.
    package static func shard(_ range: DayRange, number: Int) -> BodyPlaceholders {
        BodyPlaceholders(
            namespace: "shard",
            value: { word in
                guard !word.hasShift else { return nil }
                switch word.name {
                case "first": return range.first.description
                case "last": return range.last.description
                case "range": return range.description
                case "number": return String(number)
                default: return nil
                }
            }, hint: "Known: ${shard.range}, ${shard.first}, ${shard.last}, ${shard.number}")
    }
}

extension CivilDate {
    /// nil outside of the calendar's years.
    func firstOfMonth(shiftedBy months: Int) -> CivilDate? {
        let count = year * 12 + month - 1 + months
        return CivilDate(year: count / 12, month: count % 12 + 1, day: 1)
    }
}

/// Times as RFC 3339 text in UTC.
package enum UTCText {
    /// `2024-08-01T02:00:00Z`.
    package static func seconds(_ time: Int64) -> String {
        let day = floorDivide(time, 86_400)
        let rest = time - day * 86_400
        let clock = [rest / 3_600, rest / 60 % 60, rest % 60].map { zeroPadded($0, digits: 2) }
        return "\(CivilDate(daysSince1970: day))T\(clock.joined(separator: ":"))Z"
    }

    /// Reads `2024-08-01T02:00:00Z` to Unix seconds; nil for any other form.
    package static func parse(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 20, bytes[10] == UInt8(ascii: "T"), bytes[19] == UInt8(ascii: "Z"),
            let date = CivilDate(String(text.prefix(10)))
        else { return nil }
        let clock = text.dropFirst(11).dropLast().split(separator: ":", omittingEmptySubsequences: false)
        guard clock.count == 3, clock.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy(\.isASCIIDigit) })
        else { return nil }
        let numbers = clock.compactMap { Int64($0) }
        guard numbers.count == 3, numbers[0] < 24, numbers[1] < 60, numbers[2] < 60 else { return nil }
        return date.daysSince1970 * 86_400 + numbers[0] * 3_600 + numbers[1] * 60 + numbers[2]
    }
}
