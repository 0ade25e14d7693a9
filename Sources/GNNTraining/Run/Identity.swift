package import GraphLearning

/// Tells runs and data apart: two that differ in anything have another one. No protection against intent.
package struct ContentDigest: Sendable {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    package init() {}

    /// FNV-1a over the bytes of 64-bit words.
    package mutating func add(_ word: UInt64) {
        var word = word
        for _ in 0..<8 {
            state = (state ^ (word & 0xFF)) &* 0x100_0000_01B3
            word >>= 8
        }
    }

    package mutating func add(_ text: String) {
        for byte in text.utf8 { add(UInt64(byte)) }
        add(UInt64(text.utf8.count))
    }

    package var hexadecimal: String {
        let text = String(state, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    package init(_ series: SnapshotSeries) {
        self.init()
        for name in series.columns.features + series.columns.edgeFeatures { add(name) }
        for snapshot in series.snapshots {
            add(UInt64(bitPattern: snapshot.time))
            for symbol in snapshot.symbols { add(symbol) }
            for value in snapshot.features { add(UInt64(value.bitPattern)) }
            for price in snapshot.prices { add(price.bitPattern) }
            for (source, target) in zip(snapshot.edges.sources, snapshot.edges.targets) {
                add(UInt64(UInt32(bitPattern: source)) << 32 | UInt64(UInt32(bitPattern: target)))
            }
            for value in snapshot.edges.features { add(UInt64(value.bitPattern)) }
        }
    }
}
