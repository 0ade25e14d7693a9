import MarketData

/// The query of one request, checked as the exchange checks it.
struct Parameters: Sendable {
    static let limitDefault = 500
    /// A larger limit is answered with this many rows, without an error.
    static let limitMax = 1_000
    private static let symbolRange = #"^[\w\-._&&[^a-z]]{1,50}$"#
    private static let numberRange = "^[0-9]{1,20}$"
    /// A time with 15 digits or more is microseconds: as milliseconds it would lie after the year 5138.
    private static let microsecondsFrom: Int64 = 100_000_000_000_000

    private let values: [String: String]

    /// - Parameter pairs: names and decoded values in the order sent.
    /// - Throws: ``Refusal`` -1101, -1104 or -1105.
    init(_ pairs: [(name: String, value: String)], endpoint: Endpoint) throws(Refusal) {
        let known = endpoint.parameters
        if known.isEmpty, !pairs.isEmpty {
            throw .tooMany(expected: 0, received: pairs.count)
        }
        var values: [String: String] = [:]
        for pair in pairs {
            guard values.updateValue(pair.value, forKey: pair.name) == nil else {
                throw .doubledParameter
            }
            if pair.value.isEmpty, known.contains(pair.name) { throw .empty(pair.name) }
        }
        let read = values.keys.count { known.contains($0) }
        guard read == values.count else { throw .unread(read: read, sent: values.count) }
        self.values = values
    }

    func text(_ name: String) -> String? { values[name] }

    /// - Throws: ``Refusal`` -1100 or, when it is missing, -1102.
    func symbolName() throws(Refusal) -> String {
        guard let name = values["symbol"] else { throw .missing("symbol") }
        try Self.check(symbol: name, parameter: "symbol")
        return name
    }

    static func check(symbol name: String, parameter: String) throws(Refusal) {
        let isLegal = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || "-_.".utf8.contains(byte)
        }
        guard isLegal, (1...50).contains(name.utf8.count) else {
            throw .illegalCharacters(parameter, legal: symbolRange)
        }
    }

    /// - Throws: ``Refusal`` -1102 when it is missing, -1120 for any spelling but the exchange's.
    func interval() throws(Refusal) -> KlineInterval {
        guard let text = values["interval"] else { throw .missing("interval") }
        guard let interval = KlineInterval(rawValue: text) else { throw .invalidInterval }
        return interval
    }

    /// - Throws: ``Refusal`` -1100 for anything but digits, -1130 for a number beyond 64 bits.
    func number(_ name: String) throws(Refusal) -> Int64? {
        guard let text = values[name] else { return nil }
        guard (1...20).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw .illegalCharacters(name, legal: Self.numberRange)
        }
        guard let number = Int64(text) else { throw .invalidData(name) }
        return number
    }

    /// - Throws: ``Refusal`` -1130 for zero.
    func limit() throws(Refusal) -> Int {
        guard let limit = try number("limit") else { return Self.limitDefault }
        guard limit > 0 else { throw .invalidData("limit") }
        return Int(min(limit, Int64(Self.limitMax)))
    }

    /// The range in milliseconds, both ends included; either may be sent in microseconds.
    func times() throws(Refusal) -> (start: Int64?, end: Int64?) {
        let start = try number("startTime").map { time in
            // A microsecond start inside a millisecond begins with the next whole one.
            time >= Self.microsecondsFrom ? (time + 999) / 1_000 : time
        }
        let end = try number("endTime").map { time in
            time >= Self.microsecondsFrom ? time / 1_000 : time
        }
        return (start, end)
    }

    /// Milliseconds east of UTC: `8`, `-1:00`, `05:45`; -12:00 to +14:00, default 0.
    ///
    /// - Throws: ``Refusal`` -1130.
    func timeZoneOffset() throws(Refusal) -> Int64 {
        guard let text = values["timeZone"] else { return 0 }
        let isWest = text.hasPrefix("-")
        let digits = isWest || text.hasPrefix("+") ? text.dropFirst() : text[...]
        let parts = digits.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in
            part.utf8.allSatisfy { (0x30...0x39).contains($0) } && part.utf8.count <= 2 ? Int64(part) : nil
        }
        guard (1...2).contains(parts.count), numbers.count == parts.count else {
            throw .invalidData("timeZone")
        }
        let minuteOfHour = numbers.count == 2 ? numbers[1] : 0
        let minutes = (numbers[0] * 60 + minuteOfHour) * (isWest ? -1 : 1)
        guard minuteOfHour < 60, (-12 * 60...14 * 60).contains(minutes) else {
            throw .invalidData("timeZone")
        }
        return minutes * 60_000
    }
}
