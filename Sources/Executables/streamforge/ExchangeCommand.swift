import ArgumentParser
import Foundation
import Logging
import MarketData
import ReplayExchange
import ServiceRuntime

struct Exchange: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves recorded market data in the shape of the exchange's public REST API.",
        discussion: "Faults can also be set while it runs: POST /_replay/faults; GET /_replay/stats counts.")

    @Option(help: "Address to listen on.")
    var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes a free one.")
    var port = 0
    @Option(help: "Folder of recordings. Default: EXCHANGE_DATA_DIR, else the sample of the project.")
    var data: String?
    @Option(help: "Serve only these symbols, commas between.")
    var symbols: String?
    @Option(help: "A made-up series SYMBOL:INTERVAL:COUNT, e.g. BENCHUSDT:1m:1000000; may be repeated.")
    var synthetic: [String] = []
    @Option(help: "The exchange's present, Unix milliseconds. Default: the end of the recordings.")
    var now: Int64?
    @Flag(help: "Let the exchange's present move on with real time.")
    var movingClock = false
    @Flag(inversion: .prefixedNo, help: "Whether to keep the exchange's request limits.")
    var limits = true
    @Option(help: "Request weight a minute.")
    var weightMax: Int?
    @Option(help: "Refuse ranges longer than so many hours.")
    var rangeHoursMax: Int64?
    @Option(help: "Seed of faults and made-up series.")
    var seed: UInt64 = 1
    @OptionGroup(title: "Faults") var faults: FaultFlags

    func run() async throws {
        let logger = JSONLineLogHandler.logger(service: "streamforge-exchange", level: .warning)
        do {
            let seed = seed
            let exchange = try await ReplayExchange(try options(), logger: logger) { address in
                Output.line("Exchange on \(address), seed \(seed)")
            }
            try await runServices([exchange], grace: .seconds(5), logger: logger)
        } catch {
            Output.note("streamforge exchange: \(error)")
            throw Status.refused
        }
    }

    private func options() throws -> ReplayOptions {
        var options = ReplayOptions()
        options.host = host
        options.port = port
        let variable = ProcessInfo.processInfo.environment["EXCHANGE_DATA_DIR"]
        options.dataDirectory = data ?? variable.flatMap { $0.isEmpty ? nil : $0 }
        options.symbols = try symbols.map { text in
            Set(try text.split(separator: ",").map { try Self.parse(String($0), "symbol") { Symbol($0) } })
        }
        options.synthetic = try synthetic.map {
            try Self.parse($0, "series SYMBOL:INTERVAL:COUNT") { SyntheticSpecification($0) }
        }
        options.now = now
        options.isClockMoving = movingClock
        if limits {
            var weights = WeightLimits()
            if let weightMax { weights.weightMax = weightMax }
            options.limits = weights
        } else {
            options.limits = nil
        }
        options.rangeHoursMax = rangeHoursMax
        options.seed = seed
        options.faults = try faults.settings()
        return options
    }

    private static func parse<Value>(
        _ text: String, _ what: String, _ read: (String) -> Value?
    ) throws -> Value {
        guard let value = read(text) else { throw ValidationError("\(text) is no \(what)") }
        return value
    }
}

/// Faults the exchange begins with.
struct FaultFlags: ParsableArguments {
    @Option(help: "Milliseconds before each answer.")
    var latencyMs = 0
    @Option(help: "Share of requests answered 5xx, 0 to 1.")
    var serverErrors = 0.0
    @Option(help: "Share of data answers cut half way, 0 to 1.")
    var cutBodies = 0.0
    @Option(help: "Begin a storm of 429 every so many seconds; 0 is never.")
    var stormEvery = 0.0
    @Option(help: "How many seconds a storm lasts.")
    var stormSeconds = 0.0
    @Option(help: "Records a second and symbol; 0 is as fast as it can.")
    var pace = 0.0
    @Option(help: "Share of requests for files answered 404, 0 to 1.")
    var archiveMissing = 0.0
    @Option(help: "Share of files with a wrong byte in them, 0 to 1.")
    var archiveDamage = 0.0
    @Option(help: "Candles left out, SYMBOL:FROM:TO in Unix milliseconds, TO excluded; may be repeated.")
    var hole: [String] = []

    func settings() throws -> FaultSettings {
        var settings = FaultSettings()
        settings.latencyMilliseconds = latencyMs
        settings.serverErrorShare = serverErrors
        settings.cutBodyShare = cutBodies
        settings.stormEverySeconds = stormEvery
        settings.stormSeconds = stormSeconds
        settings.paceRecordsPerSecond = pace
        settings.archiveMissingShare = archiveMissing
        settings.archiveDamageShare = archiveDamage
        settings.holes = try hole.map { text in
            let parts = text.split(separator: ":").map(String.init)
            guard parts.count == 3, let symbol = Symbol(parts[0]), let from = Int64(parts[1]),
                let to = Int64(parts[2])
            else { throw ValidationError("\(text) is no hole SYMBOL:FROM:TO") }
            return FaultSettings.Hole(symbol: symbol, from: from, to: to)
        }
        return settings
    }
}
