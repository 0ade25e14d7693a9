import Foundation
import Workflow

/// A file of `key TAB json` lines, one candle each, in key order: what `\copy` takes and what we take.
enum CandleFile {
    /// - Returns: the size of all JSON texts in bytes.
    static func write(_ path: String, documents: Int) throws -> Int {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw BenchError(message: "cannot write \(path)") }
        defer { try? file.close() }
        var buffer = Data()
        var jsonBytes = 0
        var random = Random(state: 42)
        for number in 0..<documents {
            let openTime = 1_700_000_000_000 + Int64(number) * 60_000
            let key = "BTCUSDT-1m-\(openTime)"
            let json = candle(key: key, openTime: openTime, &random)
            jsonBytes += json.utf8.count
            buffer.append(contentsOf: "\(key)\t\(json)\n".utf8)
            if buffer.count > 4 << 20 {
                try file.write(contentsOf: buffer)
                buffer.removeAll(keepingCapacity: true)
            }
        }
        try file.write(contentsOf: buffer)
        return jsonBytes
    }

    /// A candle as the loader writes it, 373 bytes long.
    private static func candle(key: String, openTime: Int64, _ random: inout Random) -> String {
        func decimal(_ whole: ClosedRange<Int>) -> String {
            "\(Int.random(in: whole, using: &random)).\(Int.random(in: 10_000_000...99_999_999, using: &random))"
        }
        let prices = (0..<4).map { _ in decimal(60_000...69_999) }
        return """
            {"_key":"\(key)","symbol":"BTCUSDT","interval":"1m","open_time":\(openTime),\
            "open":"\(prices[0])","high":"\(prices[1])","low":"\(prices[2])","close":"\(prices[3])",\
            "volume":"\(decimal(10_000...99_999))","close_time":\(openTime + 59_999),\
            "quote_volume":"\(decimal(1_000_000_000...9_999_999_999))","trades":\(Int.random(in: 1_000_000...9_999_999, using: &random)),\
            "taker_buy_base":"\(decimal(10_000...99_999))","taker_buy_quote":"\(decimal(1_000_000_000...9_999_999_999))"}
            """
    }

    /// Reads a file back in batches.
    struct Reader {
        private static let pieceBytes = 1 << 20
        private let file: FileHandle
        private var rest: [UInt8] = []
        private var position = 0

        init(_ path: String) throws {
            guard let file = FileHandle(forReadingAtPath: path) else {
                throw BenchError(message: "cannot read \(path)")
            }
            self.file = file
        }

        /// - Returns: false when there is nothing left.
        mutating func fill(_ batch: inout DocumentBatch) throws -> Bool {
            batch.removeAll()
            while batch.count < DocumentBatch.documentsMax {
                let (tab, end) = nextLine()
                guard let end else {
                    guard try readMore() else { break }
                    continue
                }
                guard let tab else { throw BenchError(message: "a line has no tab") }
                batch.append(key: rest[position..<tab], json: rest[(tab + 1)..<end])
                position = end + 1
            }
            return !batch.isEmpty
        }

        private func nextLine() -> (tab: Int?, end: Int?) {
            rest.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return (nil, nil) }
                let count = bytes.count - position
                guard let end = memchr(base + position, 0x0a, count) else { return (nil, nil) }
                let endIndex = base.distance(to: UnsafeRawPointer(end))
                let tab = memchr(base + position, 0x09, endIndex - position)
                return (tab.map { base.distance(to: UnsafeRawPointer($0)) }, endIndex)
            }
        }

        private mutating func readMore() throws -> Bool {
            guard let data = try file.read(upToCount: Self.pieceBytes), !data.isEmpty else { return false }
            rest = Array(rest[position...]) + data
            position = 0
            return true
        }
    }
}

/// Linear congruential (Knuth's MMIX constants): the same file on every run.
struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 33)
    }
}
