import HTTPBridge
import MarketData
import Workflow

/// What the exchange says about limits in an answer's header fields.
struct AnswerHead: Sendable, Equatable {
    var status: Int
    var weight: WeightReading?
    /// Unix seconds of `Date`.
    var serverSeconds: Int64?
    /// Whole seconds of `Retry-After`.
    var retryAfter: Duration?

    /// The exchange bans for three days at most; a larger number is a proxy's mistake.
    static let retryAfterMax: Int64 = 7 * 86_400

    init(_ response: HTTPResponse) {
        status = response.status
        retryAfter = response.headers["Retry-After"].flatMap { Int64($0) }.map {
            .seconds(min(max(0, $0), Self.retryAfterMax))
        }
        let date = response.headers["Date"].flatMap(Self.unixSeconds)
        serverSeconds = date
        let counts = response.headers.fields.compactMap { field -> (used: Int, window: Int64)? in
            guard let window = Self.windowSeconds(field.name), let used = Int(field.value) else { return nil }
            return (used, window)
        }
        // The shortest window is the one that refuses first.
        if let date, let count = counts.min(by: { $0.window < $1.window }) {
            weight = WeightReading(usedWeight: count.used, windowSeconds: count.window, serverSeconds: date)
        }
    }

    /// `X-MBX-USED-WEIGHT-(number)(S|M|H|D)`; nil for any other name.
    static func windowSeconds(_ name: String) -> Int64? {
        let prefix = "x-mbx-used-weight-"
        let lower = name.lowercased()
        guard lower.hasPrefix(prefix), let letter = lower.last,
            let unit = ["s": 1, "m": 60, "h": 3_600, "d": 86_400][letter] as Int64?,
            let count = Int64(lower.dropFirst(prefix.count).dropLast()), (1...86_400).contains(count)
        else { return nil }
        return count * unit
    }

    /// Unix seconds of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7); nil for any other form.
    static func unixSeconds(_ text: String) -> Int64? {
        let parts = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard parts.count == 6, parts[5] == "GMT", let day = Int(parts[1]), let year = Int(parts[3]),
            let month = months.firstIndex(of: String(parts[2])),
            let date = CivilDate(year: year, month: month + 1, day: day)
        else { return nil }
        let time = parts[4].split(separator: ":").compactMap { Int64($0) }
        guard time.count == 3, (0...23).contains(time[0]), (0...59).contains(time[1]),
            (0...60).contains(time[2])
        else { return nil }
        return date.startMilliseconds / 1_000 + time[0] * 3_600 + time[1] * 60 + time[2]
    }
}
