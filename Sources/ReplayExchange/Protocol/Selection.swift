/// Which rows of an ordered list a request gets.
enum Selection {
    /// Takes at most `limit` rows out of `ranges`, which rise and do not overlap.
    ///
    /// - Parameter newest: take from the end (no start was given), still oldest first.
    static func take(_ limit: Int, of ranges: [Range<Int>], newest: Bool) -> [Range<Int>] {
        var left = limit
        var taken: [Range<Int>] = []
        for range in newest ? ranges.reversed() : ranges where left > 0 && !range.isEmpty {
            let part = newest ? range.suffix(left) : range.prefix(left)
            taken.append(part)
            left -= part.count
        }
        return newest ? taken.reversed() : taken
    }

    /// `range` without `holes`, as rising parts.
    static func cut(_ holes: [Range<Int>], from range: Range<Int>) -> [Range<Int>] {
        var parts = [range]
        for hole in holes where !hole.isEmpty {
            parts = parts.flatMap { part -> [Range<Int>] in
                guard part.overlaps(hole) else { return [part] }
                let before = part.lowerBound..<max(part.lowerBound, hole.lowerBound)
                let after = min(part.upperBound, hole.upperBound)..<part.upperBound
                return [before, after].filter { !$0.isEmpty }
            }
        }
        return parts
    }

    /// The index of the first element for which `isBefore` is false; elements are ordered by it.
    static func firstIndex<Element>(
        in elements: [Element], where isBefore: (Element) -> Bool
    ) -> Int {
        var low = 0
        var high = elements.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(elements[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
