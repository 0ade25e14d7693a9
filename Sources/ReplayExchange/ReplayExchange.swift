import Hummingbird
import Logging
import ServiceLifecycle

/// A local server with the public REST shape of the exchange over recorded data.
///
/// Memory: about 170 bytes a candle and 100 a trade; the shipped sample takes about 50 MB.
package struct ReplayExchange: Service {
    private let options: ReplayOptions
    private let core: ExchangeCore
    private let logger: Logger
    private let onReady: @Sendable (_ baseURL: String) async -> Void

    /// Loads the recordings.
    ///
    /// - Parameter onReady: called once the server listens, with e.g. `http://127.0.0.1:40123`.
    /// - Throws: ``ReplayError``: a setting out of range, no data folder, or a damaged file.
    package init(
        _ options: ReplayOptions, logger: Logger, onReady: @escaping @Sendable (String) async -> Void
    ) async throws {
        self.init(options, market: try await Self.load(options), logger: logger, onReady: onReady)
    }

    private init(
        _ options: ReplayOptions, market: Market, logger: Logger,
        onReady: @escaping @Sendable (String) async -> Void
    ) {
        self.options = options
        self.logger = logger
        self.onReady = onReady
        core = ExchangeCore(market: market, options: options)
    }

    /// Loads the recordings `options` name; one market can serve many exchanges.
    package static func load(_ options: ReplayOptions) async throws -> Market {
        try options.validate()
        guard let directory = options.dataDirectory ?? SampleData.directory() else {
            throw ReplayError(
                .unreadable, "find recordings", "set EXCHANGE_DATA_DIR to a folder like data/sample")
        }
        return try await MarketLoader.load(
            directory: directory, symbols: options.symbols, synthetic: options.synthetic, seed: options.seed)
    }

    /// Serves until graceful shutdown or cancellation.
    package func run() async throws {
        let server = ExchangeServer(core: core)
        let host = options.host
        let application = Application(
            responder: CallbackResponder(callback: server.respond),
            configuration: .init(
                address: .hostname(host, port: options.port)),
            onServerRunning: { [onReady] channel in
                await onReady("http://\(host):\(channel.localAddress?.port ?? 0)")
            },
            logger: logger)
        try await application.run()
    }

    /// A running exchange, for the process it runs in.
    package struct Running: Sendable {
        /// e.g. `http://127.0.0.1:40123`
        package let baseURL: String
        fileprivate let core: ExchangeCore

        package var statistics: ExchangeStatistics { core.statistics.snapshot }
        package var faults: FaultSettings { core.faults.settings }
        package func setFaults(_ faults: FaultSettings) { core.faults.update(faults) }
        /// Request weight that `address` has used in the present window, as the limits count it.
        package func usedWeight(of address: String = "127.0.0.1") -> Int { core.usedWeight(of: address) }
        /// The exchange's present, Unix milliseconds.
        package var now: Int64 { core.clock.now }
    }

    /// Runs an exchange while `body` runs, on a free port unless one is set.
    ///
    /// - Parameter market: recordings loaded before with ``load(_:)``; nil loads what `options` name.
    package static func withServer<Result: Sendable>(
        _ options: ReplayOptions = ReplayOptions(), market: Market? = nil,
        _ body: @Sendable (Running) async throws -> Result
    ) async throws -> Result {
        try options.validate()
        let loaded: Market
        if let market { loaded = market } else { loaded = try await load(options) }
        let (addresses, ready) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(1))
        var logger = Logger(label: "replay-exchange")
        logger.logLevel = .error
        let exchange = ReplayExchange(options, market: loaded, logger: logger) { ready.yield($0) }
        let services = ServiceGroup(
            configuration: .init(services: [.init(service: exchange)], logger: logger))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { ready.finish() }
                try await services.run()
            }
            guard let baseURL = await addresses.first(where: { _ in true }) else {
                try await group.waitForAll()
                throw ReplayError(.notStarted, "listen on \(options.host):\(options.port)", "ended early")
            }
            do {
                let result = try await body(Running(baseURL: baseURL, core: exchange.core))
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
                return result
            } catch {
                group.cancelAll()
                throw error
            }
        }
    }
}
