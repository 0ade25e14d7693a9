/// Times at equal distances: those at which candles of one interval open.
package struct TimeGrid: Sendable, Hashable {
    /// Unix milliseconds.
    package let first: Int64
    /// Milliseconds, at least 1.
    package let step: Int64
    package let count: Int

    package init(first: Int64, step: Int64, count: Int) {
        precondition(step > 0 && count >= 0, "a grid goes forward")
        self.first = first
        self.step = step
        self.count = count
    }

    /// nil for a time before, after or between the grid's.
    package func index(of time: Int64) -> Int? {
        let distance = time - first
        guard distance >= 0, distance % step == 0 else { return nil }
        let index = distance / step
        return index < count ? Int(index) : nil
    }

    /// The place of the candle in which something happened; nil outside the grid.
    package func index(containing time: Int64) -> Int? {
        let distance = time - first
        guard distance >= 0 else { return nil }
        let index = distance / step
        return index < count ? Int(index) : nil
    }

    package func time(_ index: Int) -> Int64 { first + Int64(index) * step }
    /// When the candle at `index` is closed: from then on it may be known.
    package func closeTime(_ index: Int) -> Int64 { time(index) + step }
}
