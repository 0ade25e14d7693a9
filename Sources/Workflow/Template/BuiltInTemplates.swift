/// The templates that come with the program. They are listed like others and cannot be replaced.
package enum BuiltInTemplates {
    package static let all: [Template] = [
        dummy, historicalCandles, historicalTrades, candlesToGraph, candlesToModel,
    ].map(read)

    package static func template(_ name: TemplateName) -> Template? { all.first { $0.name == name } }

    private static func read(_ text: String) -> Template {
        do {
            return try Template(try MessageCodec.decode(JSONValue.self, fromText: text), version: 1)
        } catch {
            preconditionFailure("a template of our own is not right: \(error)")
        }
    }

    private static let historicalCandles = #"""
        {"name": "historical_candles",
         "description": "Loads the candles of some symbols for a range of days and stores them.",
         "parameters": {
           "symbols": {"type": "symbols", "description": "What to load."},
           "interval": {"type": "interval", "default": "1m", "description": "The length of a candle."},
           "time_range": {"type": "time_range", "description": "First and last day, UTC, both included."},
           "source": {"type": "enum", "values": ["rest", "archive", "auto"], "required": false,
             "description": "The exchange's API, its files, or files where they are of use; else EXCHANGE_SOURCE."},
           "collection": {"type": "string", "required": false,
             "description": "One collection for all; else one a symbol: <symbol>_<type>_<first day>."}},
         "workflow": {
           "symbols": "${symbols}", "time_range": "${time_range}",
           "steps": [
             {"id": "load", "target": "loader-api-candles", "type": "api_candles_${interval}",
              "params": {"source": "${source}"}},
             {"id": "store", "target": "arango-connector", "input": "load",
              "params": {"collection_name": "${collection}"}}]}}
        """#

    private static let historicalTrades = #"""
        {"name": "historical_trades",
         "description": "Loads the trades of some symbols for a range of days and stores them.",
         "parameters": {
           "symbols": {"type": "symbols", "description": "What to load."},
           "kind": {"type": "enum", "values": ["api_trades", "api_trades_raw"], "default": "api_trades",
             "description": "Aggregate trades, or each fill by itself (six times the request weight)."},
           "time_range": {"type": "time_range", "description": "First and last day, UTC, both included."},
           "source": {"type": "enum", "values": ["rest", "archive", "auto"], "required": false,
             "description": "The exchange's API, its files, or files where they are of use; else EXCHANGE_SOURCE."},
           "collection": {"type": "string", "required": false,
             "description": "One collection for all; else one a symbol: <symbol>_<type>_<first day>."}},
         "workflow": {
           "symbols": "${symbols}", "time_range": "${time_range}",
           "steps": [
             {"id": "load", "target": "loader-api-trades", "type": "${kind}",
              "params": {"source": "${source}"}},
             {"id": "store", "target": "arango-connector", "input": "load",
              "params": {"collection_name": "${collection}"}}]}}
        """#

    private static let candlesToGraph = #"""
        {"name": "candles_to_graph",
         "description": "Loads and stores the candles of some symbols, then builds the graph of how they move together.",
         "parameters": {
           "symbols": {"type": "symbols", "description": "At least two."},
           "interval": {"type": "interval", "default": "1h", "description": "The length of a candle."},
           "time_range": {"type": "time_range", "description": "First and last day, UTC, both included."},
           "graph": {"type": "string", "required": false,
             "description": "The graph's name; else market_graph_<interval>."},
           "method": {"type": "enum", "values": ["pearson", "spearman", "partial", "lead_lag"],
             "default": "pearson", "description": "What edges measure."},
           "top_k": {"type": "integer", "default": 5, "min": 1, "max": 1000,
             "description": "Edges kept of each symbol: the strongest."},
           "window": {"type": "integer", "required": false, "min": 2, "max": 50000000,
             "description": "Returns in a window; else one window over the whole range."},
           "stride": {"type": "integer", "default": 24, "min": 1, "max": 50000000,
             "description": "Candles from one window's end to the next."}},
         "workflow": {
           "symbols": "${symbols}", "time_range": "${time_range}",
           "steps": [
             {"id": "load", "target": "loader-api-candles", "type": "api_candles_${interval}"},
             {"id": "store", "target": "arango-connector", "input": "load"},
             {"id": "graph", "target": "graph-builder", "after": ["store"],
              "params": {"graph": "${graph}", "methods": "${method}", "top_k": "${top_k}",
                         "window": "${window}", "stride": "${stride}"}}]}}
        """#

    private static let candlesToModel = #"""
        {"name": "candles_to_model",
         "description": "Loads and stores the candles of some symbols, builds their graph, trains a model on it, and asks the model.",
         "parameters": {
           "symbols": {"type": "symbols", "description": "At least two; some dozens for a model worth its name."},
           "interval": {"type": "interval", "default": "1h", "description": "The length of a candle."},
           "time_range": {"type": "time_range", "description": "First and last day, UTC, both included."},
           "graph": {"type": "string", "required": false,
             "description": "The graph's name; else market_graph_<interval>."},
           "method": {"type": "enum", "values": ["pearson", "spearman", "partial", "lead_lag"],
             "default": "pearson", "description": "What edges measure."},
           "top_k": {"type": "integer", "default": 5, "min": 1, "max": 1000,
             "description": "Edges kept of each symbol: the strongest."},
           "window": {"type": "integer", "default": 168, "min": 8, "max": 50000000,
             "description": "Returns in a window."},
           "stride": {"type": "integer", "default": 1, "min": 1, "max": 50000000,
             "description": "Candles from one snapshot to the next."},
           "model": {"type": "string", "required": false,
             "description": "The model's name; else <graph>_model."},
           "task": {"type": "enum", "values": ["direction", "return"], "default": "direction",
             "description": "Whether a price falls, stays or rises, or its return."},
           "horizon": {"type": "integer", "required": false, "min": 1, "max": 1000000,
             "description": "How far ahead, in candles; else one stride."},
           "embargo": {"type": "integer", "default": 0, "min": 0, "max": 1000000,
             "description": "Candles left out before the validation and the test part."},
           "epochs": {"type": "integer", "default": 30, "min": 1, "max": 100000,
             "description": "Epochs at most."},
           "seed": {"type": "integer", "default": 1, "min": 0, "max": 9007199254740991,
             "description": "Of all that is drawn by lot."}},
         "workflow": {
           "symbols": "${symbols}", "time_range": "${time_range}",
           "steps": [
             {"id": "load", "target": "loader-api-candles", "type": "api_candles_${interval}"},
             {"id": "store", "target": "arango-connector", "input": "load"},
             {"id": "graph", "target": "graph-builder", "after": ["store"],
              "params": {"graph": "${graph}", "methods": "${method}", "top_k": "${top_k}",
                         "window": "${window}", "stride": "${stride}"}},
             {"id": "train", "target": "gnn-trainer", "after": ["graph"],
              "params": {"model": "${model}", "task": "${task}", "horizon": "${horizon}",
                         "embargo": "${embargo}", "epochs": "${epochs}", "seed": "${seed}"}},
             {"id": "infer", "target": "gnn-infer", "after": ["train"]}]}}
        """#

    private static let dummy = #"""
        {"name": "dummy",
         "description": "Workers that only pretend to work: to try out the engine, stops and failures.",
         "parameters": {
           "symbols": {"type": "symbols", "default": ["BTCUSDT"], "description": "One instance each."},
           "time_range": {"type": "time_range", "default": "2024-08-01:2024-08-01",
             "description": "Not used by the workers."},
           "seconds": {"type": "integer", "default": 1, "min": 0, "max": 31622400,
             "description": "How long each works."},
           "records_per_second": {"type": "integer", "default": 0, "min": 0, "max": 1000000000,
             "description": "Records it says it wrote."},
           "fail_after": {"type": "integer", "required": false, "min": 0, "max": 31622400,
             "description": "Seconds to an error."},
           "exit_after": {"type": "integer", "required": false, "min": 0, "max": 31622400,
             "description": "Seconds to a crash."},
           "attempts_max": {"type": "integer", "default": 10, "min": 1, "max": 100,
             "description": "Attempts that may fail."}},
         "workflow": {
           "symbols": "${symbols}", "time_range": "${time_range}",
           "steps": [
             {"id": "dummy", "target": "dummy-service",
              "params": {"seconds": "${seconds}", "records_per_second": "${records_per_second}",
                         "fail_after": "${fail_after}", "exit_after": "${exit_after}",
                         "attempts_max": "${attempts_max}"}}]}}
        """#
}
