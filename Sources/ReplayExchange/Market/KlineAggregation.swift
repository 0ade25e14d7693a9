import MarketData

/// Candles of a longer interval made from the candles of a shorter one, exactly: sums are decimal.
struct KlineAggregation: Sendable {
    let interval: KlineInterval
    /// How far the buckets are moved east of UTC, milliseconds (parameter `timeZone`).
    let offset: Int64

    /// Whether every bucket of `interval` is made of whole candles of `base`.
    func divides(into base: KlineInterval) -> Bool {
        guard let baseLength = base.milliseconds, baseLength <= CivilDate.millisecondsPerDay,
            offset % baseLength == 0
        else { return false }
        // Months and weeks begin at a day's start, so whatever divides a day divides them.
        let length = interval.milliseconds ?? CivilDate.millisecondsPerDay
        return length > baseLength && length % baseLength == 0
            && CivilDate.millisecondsPerDay % min(length, CivilDate.millisecondsPerDay) == 0
    }

    /// The open time of the bucket that holds `time`.
    func openTime(containing time: Int64) -> Int64 {
        interval.openTime(containing: time + offset) - offset
    }

    /// The open time of the bucket after the one that opens at `openTime`.
    func openTime(after openTime: Int64) -> Int64 {
        interval.openTime(after: openTime + offset) - offset
    }

    /// The candles made from `rows` of `base`; a bucket with some rows missing is made of those present.
    func series(from base: KlineSeries, rows: Range<Int>) -> KlineSeries {
        var result = KlineSeries(interval: interval)
        var bucket: Bucket?
        for row in rows {
            let candle = Candle(base, row: row)
            let openTime = openTime(containing: base.openTimes[row])
            if var current = bucket, current.openTime == openTime {
                current.candle.add(candle)
                bucket = current
            } else {
                close(bucket, into: &result)
                bucket = Bucket(openTime: openTime, candle: candle)
            }
        }
        close(bucket, into: &result)
        return result
    }

    private struct Bucket {
        var openTime: Int64
        var candle: Candle
    }

    private func close(_ bucket: Bucket?, into series: inout KlineSeries) {
        guard let bucket else { return }
        let closeTime = openTime(after: bucket.openTime) - 1
        let isAppended = series.append(openTime: bucket.openTime) { text in
            bucket.candle.write(closeTime: closeTime, to: &text)
            return true
        }
        precondition(isAppended, "rows of a series rise, so their buckets do")
    }
}

/// A candle as numbers.
struct Candle: Sendable, Equatable {
    var open = DecimalAmount.zero
    var high = DecimalAmount.zero
    var low = DecimalAmount.zero
    var close = DecimalAmount.zero
    var volume = DecimalAmount.zero
    var quoteVolume = DecimalAmount.zero
    var trades: Int64 = 0
    var takerBuyBase = DecimalAmount.zero
    var takerBuyQuote = DecimalAmount.zero

    /// Reads a rendered row back.
    init(_ series: KlineSeries, row: Int) {
        let elements = series.elements(of: row)
        let amount = { (index: Int) -> DecimalAmount in
            guard let amount = DecimalAmount(series.text[elements[index]]) else {
                preconditionFailure("a rendered row holds decimals of eight places")
            }
            return amount
        }
        open = amount(1)
        high = amount(2)
        low = amount(3)
        close = amount(4)
        volume = amount(5)
        quoteVolume = amount(7)
        trades = series.text[elements[8]].reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        takerBuyBase = amount(9)
        takerBuyQuote = amount(10)
    }

    /// Joins the next candle in time to this one.
    mutating func add(_ next: Candle) {
        high = max(high, next.high)
        low = min(low, next.low)
        close = next.close
        volume = volume + next.volume
        quoteVolume = quoteVolume + next.quoteVolume
        trades += next.trades
        takerBuyBase = takerBuyBase + next.takerBuyBase
        takerBuyQuote = takerBuyQuote + next.takerBuyQuote
    }

    /// Writes the elements after the open time.
    func write(closeTime: Int64, to text: inout [UInt8]) {
        for amount in [open, high, low, close, volume] {
            text.appendText(",\"")
            amount.write(to: &text)
            text.append(UInt8(ascii: "\""))
        }
        text.append(UInt8(ascii: ","))
        text.appendNumber(closeTime)
        text.appendText(",\"")
        quoteVolume.write(to: &text)
        text.appendText("\",")
        text.appendNumber(trades)
        text.appendText(",\"")
        takerBuyBase.write(to: &text)
        text.appendText("\",\"")
        takerBuyQuote.write(to: &text)
        text.appendText("\",\"0\"")
    }
}
