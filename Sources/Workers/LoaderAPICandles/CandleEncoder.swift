import MarketData

/// Writes candles straight from the exchange's answer into the memory librdkafka sends from: one copy.
///
/// The form is ``CandleRecordWriter``'s: it writes one sample, and the text around the sample's fields is what
/// every record has in common.
struct CandleEncoder: Sendable {
    /// `literals[i]` stands before the field `i` of a record; the last one ends it. The open time is there
    /// twice: as the end of the key, and as itself.
    private let literals: [UInt8]
    private let ends: [Int]

    /// Fields of a record, the key's time included.
    private static let fieldCount = 12

    init(symbol: Symbol, interval: KlineInterval) {
        // Control characters 1 to 11 stand for the fields: JSON text never holds one.
        let markers = (1...11).map { UInt8($0) }
        var sample: [UInt8] = []
        markers.withUnsafeBytes { markers in
            let fields = CandleRecordWriter.Fields((0..<11).map { $0..<($0 + 1) })
            CandleRecordWriter(symbol: symbol, interval: interval).write(fields, of: markers, to: &sample)
        }
        let found = sample.filter { $0 < 0x20 }
        precondition(found == [1] + markers, "the order of a candle's fields is not the one written here")
        var literals: [UInt8] = []
        var ends: [Int] = []
        for byte in sample {
            if byte < 0x20 { ends.append(literals.count) } else { literals.append(byte) }
        }
        ends.append(literals.count)
        self.literals = literals
        self.ends = ends
    }

    /// Length of a candle's record in bytes.
    func bytes(of fields: CandleRecordWriter.Fields) -> Int {
        let numbers = 2 * fields.openTime.count + fields.closeTime.count + fields.trades.count
        let prices = fields.open.count + fields.high.count + fields.low.count + fields.close.count
        let volumes =
            fields.volume.count + fields.quoteVolume.count + fields.takerBuyBase.count
            + fields.takerBuyQuote.count
        return literals.count + numbers + prices + volumes
    }

    /// Writes one candle to the beginning of `output` and returns its length.
    ///
    /// - Precondition: `output` has room for ``bytes(of:)``.
    func write(
        _ fields: CandleRecordWriter.Fields, of source: UnsafeRawBufferPointer,
        to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        literals.withUnsafeBytes { literals in
            var cursor = Cursor(literals: literals, ends: ends, source: source, output: output)
            cursor.add(fields.openTime)
            cursor.add(fields.openTime)
            cursor.add(fields.open)
            cursor.add(fields.high)
            cursor.add(fields.low)
            cursor.add(fields.close)
            cursor.add(fields.volume)
            cursor.add(fields.closeTime)
            cursor.add(fields.quoteVolume)
            cursor.add(fields.trades)
            cursor.add(fields.takerBuyBase)
            cursor.add(fields.takerBuyQuote)
            return cursor.finish()
        }
    }

    private struct Cursor {
        let literals: UnsafeRawBufferPointer
        let ends: [Int]
        let source: UnsafeRawBufferPointer
        let output: UnsafeMutableRawBufferPointer
        var written = 0
        var literal = 0

        /// The literal that stands before the field, and the field.
        mutating func add(_ field: Range<Int>) {
            copyLiteral()
            copy(source, field)
        }

        mutating func finish() -> Int {
            copyLiteral()
            return written
        }

        private mutating func copyLiteral() {
            copy(literals, (literal == 0 ? 0 : ends[literal - 1])..<ends[literal])
            literal += 1
        }

        private mutating func copy(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
            let room = UnsafeMutableRawBufferPointer(rebasing: output[written..<(written + range.count)])
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
            written += range.count
        }
    }
}
