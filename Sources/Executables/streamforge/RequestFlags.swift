import ArgumentParser
import Foundation
import Workflow

/// The request that a schedule or a backfill starts: the short form by flags, or a file.
struct RequestFlags: ParsableArguments {
    @Option(help: "Trading pairs, commas between, e.g. BTCUSDT,ETHUSDT.")
    var symbols: String?
    @Option(help: "What to load, e.g. api_candles_5m.")
    var type: String?
    @Option(help: "A file with the whole request as JSON, or - for standard input.")
    var file: String?

    func validate() throws {
        let hasShort = symbols != nil || type != nil
        guard file == nil || !hasShort else {
            throw ValidationError("--file holds the whole request: leave --symbols and --type out")
        }
        guard file != nil || (symbols != nil && type != nil) else {
            throw ValidationError("give --symbols and --type, or --file")
        }
    }

    /// - Parameter timeRange: for the short form; nil where there is none.
    func request(timeRange: String?) throws -> JSONValue {
        if let file {
            let bytes = try InputFile.read(file)
            do {
                return try MessageCodec.decode(JSONValue.self, from: bytes, bytesMax: 1 << 20)
            } catch {
                throw CommandFailure(
                    status: ExitCode.validationFailure, message: "\(file) is no request: \(error.detail)")
            }
        }
        let list = (symbols ?? "").split(separator: ",").map { JSONValue.string(String($0)) }
        var fields: [String: JSONValue] = ["symbols": .array(list), "type": .string(type ?? "")]
        fields["time_range"] = timeRange.map { .string($0) }
        return .object(fields)
    }
}

extension JSONValue {
    /// An object of the fields that have a value.
    static func fields(_ values: [String: JSONValue?]) -> JSONValue {
        .object(values.compactMapValues { $0 })
    }
}
