import Foundation
import GraphModel
import ServiceRuntime
import Testing

/// What `reference.py` says: frames of candles, and their graphs as numpy, scipy and pandas see them.
struct Reference: Decodable, Sendable {
    struct Case: Decodable, Sendable {
        var name: String
        var symbols: [String]
        var first: Int64
        var step: Int64
        var count: Int
        var columns: [String: [[Double?]]]
        var parameters: Parameters
        var snapshots: [Snapshot]
    }

    struct Parameters: Decodable, Sendable {
        var methods: [String]
        var window: Int?
        var stride: Int
        var coverageMin: Double
        var lagMax: Int
        var rule: Rule

        enum CodingKeys: String, CodingKey {
            case methods, window, stride, rule
            case coverageMin = "coverage_min"
            case lagMax = "lag_max"
        }
    }

    struct Rule: Decodable, Sendable {
        var kind: String
        var value: Double?
        var alpha: Double?
        var correction: String?
    }

    struct Snapshot: Decodable, Sendable {
        var end: Int
        var nodes: [String]
        var common: Int
        var features: [String: [Double?]]
        var methods: [String: Method]
    }

    struct Method: Decodable, Sendable {
        var pairs: Int
        var shrinkage: Double?
        /// From, to, weight, lag, p-value.
        var edges: [[Double?]]
    }

    var cases: [Case]

    private static let environment = ProcessInfo.processInfo.environment
    /// Set by `scripts/test`: a Python that has the packages of `Tests/requirements.txt`.
    static var python: String? {
        environment["STREAMFORGE_TEST_PYTHON"].flatMap { $0.isEmpty ? nil : $0 }
    }
    static var isWanted: Bool { python != nil || environment["CI"] == "true" }

    static func make() async throws -> Reference {
        let python = try #require(python, "CI must set STREAMFORGE_TEST_PYTHON")
        let script = try #require(Bundle.module.url(forResource: "reference", withExtension: "py"))
        let candles = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "data/sample/candles")
        let base = FileManager.default.temporaryDirectory.appending(path: "graph-\(UUID().uuidString)")
        let (output, log) = (base.appendingPathExtension("json"), base.appendingPathExtension("log"))
        defer { for file in [output, log] { try? FileManager.default.removeItem(at: file) } }
        let child = try await ChildProcess.start(
            ChildProcess.Command(
                python, ["-I", script.path, candles.path, output.path], environment: [:], logFile: log.path))
        let exit = await child.waitForExit(timeout: .seconds(400))
        let said = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        if exit == nil { _ = await child.terminate(grace: .seconds(1)) }
        try #require(exit == .code(0), "\(said)")
        return try JSONDecoder().decode(Reference.self, from: Data(contentsOf: output))
    }
}

extension Reference.Case {
    func frame() throws -> CandleFrame {
        var frame = CandleFrame(
            symbols: symbols, grid: TimeGrid(first: first, step: step, count: count))
        let names: [(String, CandleColumn)] = [
            ("close", .close), ("volume", .volume), ("taker_buy_volume", .takerBuyVolume),
            ("trade_count", .tradeCount),
        ]
        for (name, column) in names {
            for (symbol, values) in try #require(columns[name]).enumerated() {
                for (time, value) in values.enumerated() { frame[column, symbol, time] = value ?? .nan }
            }
        }
        return frame
    }
}

extension GraphParameters {
    init(_ parameters: Reference.Parameters) throws {
        let rule: Rule
        switch parameters.rule.kind {
        case "threshold": rule = .threshold(try #require(parameters.rule.value))
        case "top_k": rule = .topK(Int(try #require(parameters.rule.value)))
        default:
            rule = .significance(
                alpha: try #require(parameters.rule.alpha),
                try #require(parameters.rule.correction.flatMap { Correction(rawValue: $0) }))
        }
        self.init(
            methods: try parameters.methods.map { try #require(Method(rawValue: $0)) }, rule: rule,
            window: parameters.window, stride: parameters.stride, coverageMin: parameters.coverageMin,
            lagMax: parameters.lagMax)
    }
}
