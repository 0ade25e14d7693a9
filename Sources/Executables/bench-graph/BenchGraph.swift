import ArgumentParser
import BLASBridge
import Foundation
import GraphModel

/// Measures the arithmetic of graphs; run by scripts/bench-graph.
@main
struct BenchGraph: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-graph", abstract: "Measures the arithmetic of graphs.",
        subcommands: [Recorded.self, Synthetic.self])
}

/// Builds the graph of candles in a file and writes it, to be compared with a peer's.
struct Recorded: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Builds graphs of the candles in a file of doubles: a column after the other, in each all times "
            + "of the first symbol, then of the second, and so on.")

    @Argument(help: "The candles.") var input: String
    @Argument(help: "Where the graphs go, a JSON object a line.") var output: String
    @Option(help: "Symbols in the file.") var symbols: Int
    @Option(help: "Candles of each.") var times: Int
    @Option(help: "Milliseconds from one to the next.") var step: Int64
    @Option(help: "Returns in a window; not given: all.") var window: Int?
    @Option(help: "Candles from one window's end to the next.") var stride = 1
    @Option(help: "Threads for the matrix work.") var threads = 2
    @Option(help: "What edges measure, commas between.") var methods = "pearson"

    func run() throws {
        BLAS.setThreads(threads)
        let frame = try readFrame()
        let parameters = GraphParameters(
            methods: try methods.split(separator: ",").map {
                guard let method = GraphParameters.Method(rawValue: String($0)) else {
                    throw ValidationError("there is no method \($0)")
                }
                return method
            }, rule: .significance(alpha: 0.05, .benjaminiHochberg), window: window, stride: stride)
        let start = ContinuousClock.now
        let builder = SnapshotBuilder(frame, parameters)
        let snapshots = builder.ends.map { builder.snapshot(end: $0) }
        let took = ContinuousClock.now - start
        print("compute \(took / .seconds(1))")
        print("memory \(peakMemoryMegabytes())")
        var text = ""
        for snapshot in snapshots { text += line(snapshot) + "\n" }
        try Data(text.utf8).write(to: URL(filePath: output))
    }

    private func readFrame() throws -> CandleFrame {
        let data = try Data(contentsOf: URL(filePath: input))
        let count = symbols * times
        guard data.count == count * CandleColumn.allCases.count * MemoryLayout<Double>.size else {
            throw ValidationError("the file has \(data.count) bytes")
        }
        var frame = CandleFrame(
            symbols: (0..<symbols).map { "S\($0)" }, grid: TimeGrid(first: 0, step: step, count: times))
        data.withUnsafeBytes { bytes in
            let values = bytes.bindMemory(to: Double.self)
            for (place, column) in CandleColumn.allCases.enumerated() {
                for symbol in 0..<symbols {
                    for time in 0..<times {
                        frame[column, symbol, time] = values[place * count + symbol * times + time]
                    }
                }
            }
        }
        return frame
    }

    private func line(_ snapshot: GraphSnapshot) -> String {
        func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "null" }
        let nodes = snapshot.nodes.map { "\"\($0.symbol)\"" }.joined(separator: ",")
        let features = snapshot.nodes.map { "[" + $0.features.map(text).joined(separator: ",") + "]" }
        let edges = snapshot.edges.map {
            "[\"\($0.method.rawValue)\",\($0.from),\($0.to),\($0.weight),\($0.lag),\(text($0.pValue))]"
        }
        return "{\"nodes\":[\(nodes)],\"features\":[\(features.joined(separator: ","))],"
            + "\"edges\":[\(edges.joined(separator: ","))]}"
    }
}

/// A made-up market, to see how far the whole way is from the bare matrix product in it.
struct Synthetic: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Builds the graph of made-up candles.")

    @Option(help: "Symbols.") var symbols = 500
    @Option(help: "Candles of each.") var times = 43_201
    @Option(help: "Threads for the matrix work.") var threads = 2
    @Option(help: "Rounds; medians are told.") var rounds = 5

    func run() throws {
        BLAS.setThreads(threads)
        let closes = madeUpCloses()
        var (whole, general, symmetric) = ([Double](), [Double](), [Double]())
        var edges = 0
        for _ in 0..<rounds {
            whole.append(seconds { edges = graphEdges(closes) })
            let returns = LogReturns(closes: closes, symbols: symbols, times: times)
            let rows = Matrix(rows: symbols, columns: times - 1) { row, own in
                _ = own.initialize(fromContentsOf: returns.matrix.row(row, columns: 1..<times))
            }
            general.append(seconds { _ = BLAS.product(rows, transposed: rows) })
            symmetric.append(seconds { _ = BLAS.gram(rows) })
        }
        print("whole \(median(whole)) \(whole.min() ?? 0) \(whole.max() ?? 0)")
        print("product \(median(general)) \(general.min() ?? 0) \(general.max() ?? 0)")
        print("symmetric \(median(symmetric)) \(symmetric.min() ?? 0) \(symmetric.max() ?? 0)")
        print("edges \(edges)")
        print("memory \(peakMemoryMegabytes())")
    }

    /// From prices to the edges that are kept.
    private func graphEdges(_ closes: [Double]) -> Int {
        let returns = LogReturns(closes: closes, symbols: symbols, times: times)
        let aligned = AlignedReturns(returns, window: 1..<times, coverageMin: 0.95)
        return aligned.edges(.pearson, GraphParameters(rule: .topK(10))).edges.count
    }

    /// Log-normal walks with a common part; the generator is SplitMix64 with a fixed seed.
    private func madeUpCloses() -> [Double] {
        var random = SplitMix64(state: 42)
        let market = (0..<times).map { _ in random.nextCentred() }
        var closes = [Double](repeating: 0, count: symbols * times)
        for symbol in 0..<symbols {
            var level = 0.0
            let share = Double(symbol % 10) / 10
            for time in 0..<times {
                level += 0.001 * (share * market[time] + random.nextCentred())
                closes[symbol * times + time] = 100 * exp(level)
            }
        }
        return closes
    }

    private func seconds(_ body: () -> Void) -> Double {
        let start = ContinuousClock.now
        body()
        return (ContinuousClock.now - start) / .seconds(1)
    }

    private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

/// Steele, Lea and Flood (2014).
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// From -1 to 1; the sum of three, so that most are near 0.
    mutating func nextCentred() -> Double {
        (0..<3).reduce(0) { sum, _ in sum + Double(next() >> 11) / Double(1 << 53) } * 2 / 3 - 1
    }
}

/// The most this process has had resident, MB.
private func peakMemoryMegabytes() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
    return (Int(line.filter(\.isNumber)) ?? 0) / 1_024
}
