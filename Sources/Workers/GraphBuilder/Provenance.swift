import GraphModel
import Workflow

/// What a version of a graph was made from, stored with it.
struct Provenance {
    /// Rises when the same candles and parameters give another graph.
    static let builder = "streamforge-graph 2"

    let job: GraphJob
    let counts: [GraphInputs.Count]

    /// All that the graph follows from besides the candles, as one text.
    static func settings(_ job: GraphJob) -> String {
        let symbols = job.inputs.map(\.symbol.rawValue).joined(separator: ",")
        let grid = "\(job.interval.keyText) \(job.grid.first) \(job.grid.count)"
        let text = try? MessageCodec.encodeText(parameters(job.parameters))
        return [builder, symbols, grid, text ?? ""].joined(separator: "\n")
    }

    func document(
        _ id: GraphVersionID, state: GraphVersionState, identity: [String: JSONValue],
        members: [String: JSONValue]
    ) -> JSONValue {
        var document: [String: JSONValue] = [
            "_key": .string(id.rawValue), "kind": .string(GraphDocumentKind.version.rawValue),
            "version": .string(id.rawValue),
            "state": .string(state.rawValue), "builder": .string(Self.builder),
            "interval": .string(job.interval.keyText), "first_open_time": .integer(job.grid.first),
            "candles_max": .integer(Int64(job.grid.count)),
            "parameters": Self.parameters(job.parameters),
            "inputs": .array(zip(job.inputs, counts).map(input)),
        ]
        document.merge(identity) { _, new in new }
        document.merge(members) { _, new in new }
        return .object(document)
    }

    private func input(_ input: GraphJob.Input, _ count: GraphInputs.Count) -> JSONValue {
        var members: [String: JSONValue] = [
            "symbol": .string(input.symbol.rawValue), "collection": .string(input.candles.rawValue),
            "candles": .integer(count.candles),
        ]
        members["first_open_time"] = count.firstOpenTime.map { .integer($0) }
        members["last_open_time"] = count.lastOpenTime.map { .integer($0) }
        if let trades = input.trades {
            members["trades_collection"] = .string(trades.rawValue)
            members["trades"] = count.usesTrades ? .integer(count.trades) : .string("not needed")
        }
        return .object(members)
    }

    private static func parameters(_ parameters: GraphParameters) -> JSONValue {
        let features = parameters.features
        var members: [String: JSONValue] = [
            "methods": .array(parameters.methods.map { .string($0.rawValue) }),
            "stride": .integer(Int64(parameters.stride)), "coverage_min": .number(parameters.coverageMin),
            "lag_max": .integer(Int64(parameters.lagMax)),
            "return_horizons": .array(features.returnHorizons.map { .integer(Int64($0)) }),
            "volatility": .integer(Int64(features.volatility)), "rsi": .integer(Int64(features.rsi)),
            "activity": .integer(Int64(features.activity)),
        ]
        members["window"] = parameters.window.map { .integer(Int64($0)) } ?? .null
        switch parameters.rule {
        case .threshold(let least): members["threshold"] = .number(least)
        case .topK(let count): members["top_k"] = .integer(Int64(count))
        case .significance(let alpha, let correction):
            members["significance"] = .number(alpha)
            members["correction"] = .string(correction.rawValue)
        }
        return .object(members)
    }
}
