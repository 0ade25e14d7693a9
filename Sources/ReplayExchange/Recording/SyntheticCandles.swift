import MarketData

/// A made-up series for benchmarks, written `SYMBOL:INTERVAL:COUNT`, e.g. `BENCHUSDT:1m:1000000`.
///
/// The same seed gives the same rows. Page `/` calls the symbol synthetic.
package struct SyntheticSpecification: Sendable, Hashable {
    /// 5,000,000 rows are about 0.8 GB of rendered text.
    package static let countMax = 5_000_000
    /// 2020-01-01 00:00 UTC, so that even long series of days lie before the year 2286.
    static let firstOpenTime: Int64 = 1_577_836_800_000

    package var symbol: Symbol
    package var interval: KlineInterval
    package var count: Int

    /// nil when `text` has another form, the count is not 1 to ``countMax``, or the series would end after
    /// the year 2286.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let symbol = Symbol(parts[0]),
            let interval = KlineInterval(rawValue: parts[1]) ?? KlineInterval(keyText: parts[1]),
            let count = Int(parts[2]), (1...Self.countMax).contains(count)
        else { return nil }
        let length = interval.milliseconds ?? 31 * CivilDate.millisecondsPerDay
        guard Int64(count) * length < 9_999_999_999_999 - Self.firstOpenTime else { return nil }
        self.symbol = symbol
        self.interval = interval
        self.count = count
    }

    /// Renders the rows: a random walk of the price with plausible volumes, all twelve columns filled.
    func series(seed: UInt64) -> KlineSeries {
        var random = SeededRandom(seed: seed ^ symbol.rawValue.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
        var series = KlineSeries(interval: interval)
        series.reserve(rowCount: count)
        var openTime = interval.openTime(containing: Self.firstOpenTime)
        var price: Int64 = 60_000_00
        for _ in 0..<count {
            let row = Row(openPrice: price, random: &random)
            let nextOpenTime = interval.openTime(after: openTime)
            let isAppended = series.append(openTime: openTime) { text in
                row.write(closeTime: nextOpenTime - 1, to: &text)
                return true
            }
            precondition(isAppended, "open times of a synthetic series rise")
            price = row.close
            openTime = nextOpenTime
        }
        return series
    }

    /// Prices in hundredths, volumes in hundred-thousandths.
    private struct Row {
        var open: Int64
        var high: Int64
        var low: Int64
        var close: Int64
        var volume: Int64
        var trades: Int64
        var takerShare: Int64

        init(openPrice: Int64, random: inout SeededRandom) {
            open = openPrice
            close = max(100_00, openPrice + Int64(random.next(below: 20_001)) - 10_000)
            high = max(open, close) + Int64(random.next(below: 5_000))
            low = max(1, min(open, close) - Int64(random.next(below: 5_000)))
            volume = 1 + Int64(random.next(below: 50_000_000))
            trades = 1 + Int64(random.next(below: 20_000))
            takerShare = Int64(random.next(below: 101))
        }

        func write(closeTime: Int64, to text: inout [UInt8]) {
            for price in [open, high, low, close] {
                text.appendText(",\"")
                write(price, places: 2, to: &text)
                text.append(UInt8(ascii: "\""))
            }
            text.appendText(",\"")
            write(volume, places: 5, to: &text)
            text.appendText("\",")
            text.appendNumber(closeTime)
            text.appendText(",\"")
            // Price times volume has seven places.
            write(volume * close, places: 7, to: &text)
            text.appendText("\",")
            text.appendNumber(trades)
            let taken = volume * takerShare / 100
            text.appendText(",\"")
            write(taken, places: 5, to: &text)
            text.appendText("\",\"")
            write(taken * close, places: 7, to: &text)
            text.appendText("\",\"0\"")
        }

        private func write(_ value: Int64, places: Int, to text: inout [UInt8]) {
            let scale = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000][places]
            text.appendNumber(value / Int64(scale))
            text.append(UInt8(ascii: "."))
            let digits = String(value % Int64(scale)).utf8
            text.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: places - digits.count))
            text.append(contentsOf: digits)
            text.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: DecimalAmount.places - places))
        }
    }
}

/// A small generator whose whole state is its seed (SplitMix64), so that a printed seed repeats a run.
struct SeededRandom: Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func next(below bound: UInt64) -> UInt64 {
        // The bias of a plain remainder is below 2^-40 for the small bounds used here.
        next() % bound
    }

    /// True with probability `share`, 0 to 1.
    mutating func chance(_ share: Double) -> Bool {
        Double(next() >> 11) / 9_007_199_254_740_992 < share
    }
}
