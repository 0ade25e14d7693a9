import Foundation
import MarketData

/// Faults on request. Everything is off by default.
///
/// JSON, at start and over `POST /_replay/faults`, where a field left out stays as it is:
/// `{"latency_ms": 50, "server_error_share": 0.05, "cut_body_share": 0.02, "storm_every_seconds": 20,
/// "storm_seconds": 3, "pace_records_per_second": 200, "archive_missing_share": 0.1, "archive_damage_share": 0.1,
/// "holes": [{"symbol": "BTCUSDT", "from": 1722470400000, "to": 1722474000000}]}`
package struct FaultSettings: Codable, Sendable, Equatable {
    package static let latencyMillisecondsMax = 60_000
    package static let holesMax = 100

    /// Candles of `symbol` that open in `from ..< to` (Unix milliseconds) are not served, in no interval;
    /// candles of longer intervals around the hole are unchanged.
    package struct Hole: Codable, Sendable, Equatable {
        package var symbol: String
        package var from: Int64
        package var to: Int64

        package init(symbol: Symbol, from: Int64, to: Int64) {
            self.symbol = symbol.rawValue
            self.from = from
            self.to = to
        }
    }

    /// Time before each answer, at most 60,000.
    package var latencyMilliseconds = 0
    /// Share of requests answered 500, 502, 503 or 504, 0 to 1.
    package var serverErrorShare = 0.0
    /// Share of data answers cut half way through the body by closing the connection, 0 to 1.
    package var cutBodyShare = 0.0
    /// A storm begins every so many seconds (counted from when this was set); 0 is never.
    package var stormEverySeconds = 0.0
    /// How long a storm answers every request with 429 and Retry-After; shorter than the time between.
    package var stormSeconds = 0.0
    /// Records served a second and symbol; an answer waits until its records are due. 0 is unlimited.
    ///
    /// A page of 1,000 at 100 a second waits 10 s: ask for smaller pages than your time-out allows.
    package var paceRecordsPerSecond = 0.0
    package var holes: [Hole] = []
    /// Share of requests for files that are answered 404, as for one not yet published, 0 to 1.
    package var archiveMissingShare = 0.0
    /// Share of files with a wrong byte in them, so that the checksum does not fit, 0 to 1.
    package var archiveDamageShare = 0.0

    package init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
        case latencyMilliseconds = "latency_ms"
        case serverErrorShare = "server_error_share"
        case cutBodyShare = "cut_body_share"
        case stormEverySeconds = "storm_every_seconds"
        case stormSeconds = "storm_seconds"
        case paceRecordsPerSecond = "pace_records_per_second"
        case holes
        case archiveMissingShare = "archive_missing_share"
        case archiveDamageShare = "archive_damage_share"
    }

    package init(from decoder: any Decoder) throws {
        self.init()
        try merge(decoder)
    }

    /// What is wrong, as `field: reason`; nil when every field is in its range.
    package var problem: String? {
        if !(0...Self.latencyMillisecondsMax).contains(latencyMilliseconds) {
            return "latency_ms: must be 0 to \(Self.latencyMillisecondsMax)"
        }
        if !(0...1).contains(serverErrorShare) { return "server_error_share: must be 0 to 1" }
        if !(0...1).contains(cutBodyShare) { return "cut_body_share: must be 0 to 1" }
        if !(0...1).contains(archiveMissingShare) { return "archive_missing_share: must be 0 to 1" }
        if !(0...1).contains(archiveDamageShare) { return "archive_damage_share: must be 0 to 1" }
        if !(0...86_400).contains(stormEverySeconds) { return "storm_every_seconds: must be 0 to 86400" }
        if stormSeconds < 0 || (stormSeconds > 0 && stormSeconds >= stormEverySeconds) {
            return "storm_seconds: must be 0 or more and less than storm_every_seconds"
        }
        if !(0...1e9).contains(paceRecordsPerSecond) {
            return "pace_records_per_second: must be 0 to 1000000000"
        }
        if holes.count > Self.holesMax { return "holes: at most \(Self.holesMax)" }
        if let hole = holes.first(where: { Symbol($0.symbol) == nil || $0.from >= $0.to }) {
            return "holes: \(hole.symbol) \(hole.from) to \(hole.to) is no range of a symbol"
        }
        return nil
    }

    /// Reads `json` over the present settings.
    ///
    /// - Throws: ``ReplayError`` `invalidSetting` naming the field; `self` is then unchanged.
    package func merging(json: [UInt8]) throws(ReplayError) -> FaultSettings {
        let result: FaultSettings
        do {
            let decoder = JSONDecoder()
            decoder.userInfo[Self.baseKey] = self
            result = try decoder.decode(Merged.self, from: Data(json)).settings
        } catch let error as DecodingError {
            throw ReplayError(.invalidSetting, "read faults", Self.describe(error))
        } catch {
            throw ReplayError(.invalidSetting, "read faults", "is no JSON object")
        }
        if let problem = result.problem { throw ReplayError(.invalidSetting, "read faults", problem) }
        return result
    }

    private static let baseKey: CodingUserInfoKey = {
        guard let key = CodingUserInfoKey(rawValue: "base") else { preconditionFailure("any text is a key") }
        return key
    }()

    private struct Merged: Decodable {
        var settings: FaultSettings

        init(from decoder: any Decoder) throws {
            settings = decoder.userInfo[FaultSettings.baseKey] as? FaultSettings ?? FaultSettings()
            try settings.merge(decoder)
        }
    }

    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private mutating func merge(_ decoder: any Decoder) throws {
        for key in try decoder.container(keyedBy: AnyKey.self).allKeys
        where CodingKeys(rawValue: key.stringValue) == nil {
            let known = CodingKeys.allCases.map(\.rawValue).joined(separator: ", ")
            throw DecodingError.dataCorrupted(
                .init(codingPath: [key], debugDescription: "is unknown; known are \(known)"))
        }
        let values = try decoder.container(keyedBy: CodingKeys.self)
        latencyMilliseconds =
            try values.decodeIfPresent(Int.self, forKey: .latencyMilliseconds) ?? latencyMilliseconds
        serverErrorShare =
            try values.decodeIfPresent(Double.self, forKey: .serverErrorShare) ?? serverErrorShare
        cutBodyShare = try values.decodeIfPresent(Double.self, forKey: .cutBodyShare) ?? cutBodyShare
        stormEverySeconds =
            try values.decodeIfPresent(Double.self, forKey: .stormEverySeconds) ?? stormEverySeconds
        stormSeconds = try values.decodeIfPresent(Double.self, forKey: .stormSeconds) ?? stormSeconds
        paceRecordsPerSecond =
            try values.decodeIfPresent(Double.self, forKey: .paceRecordsPerSecond) ?? paceRecordsPerSecond
        holes = try values.decodeIfPresent([Hole].self, forKey: .holes) ?? holes
        archiveMissingShare =
            try values.decodeIfPresent(Double.self, forKey: .archiveMissingShare) ?? archiveMissingShare
        archiveDamageShare =
            try values.decodeIfPresent(Double.self, forKey: .archiveDamageShare) ?? archiveDamageShare
    }

    private static func describe(_ error: DecodingError) -> String {
        let context: DecodingError.Context? =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                context
            case .keyNotFound(let key, _):
                .init(codingPath: [key], debugDescription: "is missing")
            @unknown default: nil
            }
        guard let context else { return "is malformed" }
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
    }
}
