import MarketData

/// The candles of one symbol and interval, rendered once as the JSON the exchange sends.
///
/// Memory: about 150 bytes a candle for the text, 16 for its index. A page is a copy of one slice.
struct KlineSeries: Sendable {
    let interval: KlineInterval
    /// Open times, rising, Unix milliseconds.
    private(set) var openTimes: [Int64] = []
    /// `[…],[…],`: every row followed by a comma.
    private(set) var text: [UInt8] = []
    /// Where each row begins in `text`, and one more for the end.
    private var offsets: [Int] = [0]

    init(interval: KlineInterval) {
        self.interval = interval
    }

    var count: Int { openTimes.count }

    mutating func reserve(rowCount: Int) {
        openTimes.reserveCapacity(rowCount)
        offsets.reserveCapacity(rowCount + 1)
        text.reserveCapacity(rowCount * 160)
    }

    /// Appends one row: `render` writes everything between the open time and the closing bracket.
    ///
    /// - Returns: false, with nothing appended, when `openTime` does not follow the last or `render` fails.
    mutating func append(openTime: Int64, render: (inout [UInt8]) -> Bool) -> Bool {
        guard openTimes.last.map({ $0 < openTime }) ?? true else { return false }
        let start = text.count
        text.append(UInt8(ascii: "["))
        text.appendNumber(openTime)
        guard render(&text) else {
            text.removeLast(text.count - start)
            return false
        }
        text.append(UInt8(ascii: "]"))
        text.append(UInt8(ascii: ","))
        openTimes.append(openTime)
        offsets.append(text.count)
        return true
    }

    /// The rows that open in `from ... through`.
    func rows(from: Int64, through: Int64) -> Range<Int> {
        let lower = firstRow(at: from)
        let upper = through == .max ? count : firstRow(at: through + 1)
        return lower..<max(lower, upper)
    }

    /// The index of the first row that opens at `time` or later.
    func firstRow(at time: Int64) -> Int {
        var low = 0
        var high = openTimes.count
        while low < high {
            let middle = (low + high) / 2
            if openTimes[middle] < time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The JSON of rows, separated by commas, without a comma at the end.
    func slice(_ rows: Range<Int>) -> ArraySlice<UInt8> {
        rows.isEmpty ? [] : text[offsets[rows.lowerBound]..<offsets[rows.upperBound] - 1]
    }

    /// The elements of one row as byte ranges of ``text``, quotes left out.
    func elements(of row: Int) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(12)
        var start = offsets[row] + 1
        let end = offsets[row + 1] - 2
        for index in start...end where index == end || text[index] == UInt8(ascii: ",") {
            let isQuoted = text[start] == UInt8(ascii: "\"")
            ranges.append(isQuoted ? start + 1..<index - 1 : start..<index)
            start = index + 1
        }
        return ranges
    }
}
