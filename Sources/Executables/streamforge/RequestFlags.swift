import ArgumentParser
import Foundation
import Workflow

/// The request that a schedule or a backfill starts: the short form by flags, or a file.
struct RequestFlags: ParsableArguments {
    @Option(help: "Trading pairs, commas between, e.g. BTCUSDT,ETHUSDT.")
    var symbols: String?
    @Option(help: "What to load, e.g. api_candles_5m.")
    var type: String?
    @Option(help: "How records get to the store: \(TransportFlag.words).")
    var transport: String?
    @Option(help: "A file with the whole request as JSON, or - for standard input.")
    var file: String?

    func validate() throws {
        let hasShort = symbols != nil || type != nil || transport != nil
        try TransportFlag.check(transport)
        guard file == nil || !hasShort else {
            throw ValidationError(
                "--file holds the whole request: leave --symbols, --type and --transport out")
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
        fields["transport"] = transport.map { .string($0) }
        return .object(fields)
    }
}

/// `--transport` of the short form.
enum TransportFlag {
    static let words = Transport.allCases.map(\.rawValue).joined(separator: ", or ")

    static func check(_ text: String?) throws {
        guard let text, Transport(rawValue: text) == nil else { return }
        throw ValidationError("--transport \(text): there are \(words)")
    }
}

extension JSONValue {
    /// An object of the fields that have a value.
    static func fields(_ values: [String: JSONValue?]) -> JSONValue {
        .object(values.compactMapValues { $0 })
    }
}
