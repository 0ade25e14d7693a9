import ArgumentParser
import LocalStack
import Logging
import ServiceRuntime
import Workflow

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs everything on this machine until Ctrl-C.",
        discussion: """
            Starts a private PostgreSQL, a Kafka broker, the replay exchange and the queue-manager, all on
            127.0.0.1; data, logs and addresses.env (POSTGRES_URL and the like, for scripts) lie in the data
            folder. POSTGRES_URL, KAFKA_BOOTSTRAP_SERVERS, ARANGO_URL and BINANCE_API_URL name systems to use
            instead of ours; KAFKA_HOME an Apache Kafka to start. Other variables are passed on to the
            queue-manager, e.g. LEASE_SECONDS.
            """)
    /// Each part has its own, shorter limit.
    private static let stopLimit = Duration.seconds(120)
    private static let poolMax = 64

    @Option(help: "Where data and logs are kept.")
    var dataDir = ".streamforge"
    @Option(help: "Port of the queue-manager; 0 takes a free one.")
    var port = 8080
    @Flag(inversion: .prefixedNo, help: "Whether to run the queue-manager.")
    var queueManager = true

    @Option(help: "Pool workers to run: steps of kinds that may run pooled then start in milliseconds.")
    var pool = 0
    @Option(help: "Connectors to run: they store what queues with transport shared load.")
    var connectors = 0

    func validate() throws {
        guard (0...Self.poolMax).contains(pool) else {
            throw ValidationError("--pool must be 0 to \(Self.poolMax)")
        }
        guard (0...Self.poolMax).contains(connectors) else {
            throw ValidationError("--connectors must be 0 to \(Self.poolMax)")
        }
        guard pool + connectors == 0 || queueManager else {
            throw ValidationError("--pool and --connectors need the queue-manager, which gives them work")
        }
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
    }

    func run() async throws {
        var options = StackOptions()
        options.dataDirectory = dataDir
        options.port = port
        options.runsQueueManager = queueManager
        options.poolWorkers = pool
        options.connectors = connectors
        options.poolTargets = Target.allCases.filter(\.mayRunPooled).map(\.rawValue)
        let stack = LocalStack(
            options, onProgress: { Output.note($0) },
            onReady: { Self.print($0, dataDirectory: dataDir) })
        do {
            let logger = JSONLineLogHandler.logger(service: "streamforge", level: .critical)
            try await runServices([stack], grace: Self.stopLimit, logger: logger)
            Output.note("Ended; the data is kept in \(dataDir)")
        } catch {
            Output.note("streamforge up: \(error)")
            throw Status.refused
        }
    }

    private static func print(_ addresses: StackAddresses, dataDirectory: String) {
        Output.line("PostgreSQL     \(addresses.postgres)")
        Output.line("Kafka          \(addresses.kafka) (\(addresses.kafkaKind))")
        Output.line("exchange       \(addresses.exchange)")
        if let arango = addresses.arango { Output.line("ArangoDB       \(arango)") }
        if let queueManager = addresses.queueManager { Output.line("queue-manager  \(queueManager)") }
        Output.line("Ready. Ctrl-C ends it; data and logs are in \(dataDirectory)")
    }
}
