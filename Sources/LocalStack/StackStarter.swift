import Foundation
import HTTPBridge
import KafkaBridge
import PostgresBridge
import ServiceRuntime

/// Starts the parts of a stack one after the other.
struct StackStarter: Sendable {
    let options: StackOptions
    let values: SettingValues
    let folder: StackFolder
    /// Every part that was started is added at once, so that it is ended whatever happens next.
    let parts: RunningParts

    /// - Returns: the addresses for people, and for programs the variables that lead to the same places.
    func start(
        _ tell: @Sendable (String) -> Void
    ) async throws -> (StackAddresses, variables: [String: String]) {
        // Told before anything is started: programs that are missing, the one port that people choose.
        for program in options.runsQueueManager ? ["queue-manager", "streamforge-worker", "streamforge"] : []
        {
            _ = try StackPrograms.path(program, in: options.programsDirectory)
        }
        let port = try options.runsQueueManager ? choosePort(options.port, of: "queue-manager") : 0
        tell("Starting PostgreSQL")
        let postgres = try await startPostgres()
        tell("Starting the Kafka broker")
        let kafka = try await startKafka()
        tell("Starting the replay exchange")
        let exchange = try await startExchange()
        var variables = [
            "POSTGRES_URL": postgres.secret, "KAFKA_BOOTSTRAP_SERVERS": kafka.connection.bootstrapServers,
            "BINANCE_API_URL": exchange, MarkedProcesses.variable: folder.stackID,
            KafkaSettings.rereadsAborted.name: String(kafka.connection.rereadsAborted),
        ]
        // The replay exchange has the files too; where another one keeps them is for its user to say.
        if values[StackSettings.exchangeURL] == nil { variables[ExchangeSettings.archiveURL.name] = exchange }
        variables.merge(objectStore()) { _, new in new }
        var addresses = StackAddresses(
            postgres: postgres.shown, kafka: kafka.connection.bootstrapServers,
            kafkaKind: kafka.kind.rawValue, exchange: exchange, arango: values[ArangoSettings.url])
        addWorkers()
        if options.runsQueueManager {
            tell("Starting the queue-manager")
            let address = try await startQueueManager(port: port, variables)
            addresses.queueManager = address
            variables["STREAMFORGE_URL"] = address
            // After the queue-manager, which makes the topics of pool and commands.
            if options.poolWorkers > 0 { tell("Starting \(options.poolWorkers) pool workers") }
            for number in 0..<options.poolWorkers { try await startPoolWorker(number, variables) }
            if options.connectors > 0 { tell("Starting \(options.connectors) connectors of shared topics") }
            for number in 0..<options.connectors {
                try await startConnector(number, variables, isKafka: kafka.kind != .noidaDB)
            }
        }
        return (addresses, variables)
    }

    /// Models go beside the other data, unless somebody says where else.
    private func objectStore() -> [String: String] {
        let settings: [any AnySetting] = [
            ObjectStoreSettings.kind, ObjectStoreSettings.folder, ObjectStoreSettings.endpoint,
        ]
        let names = settings.flatMap { [$0.name] + $0.aliases }.flatMap { [$0, $0 + "_FILE"] }
        guard names.allSatisfy({ options.environment[$0] == nil }) else { return [:] }
        return [ObjectStoreSettings.folder.name: folder.objects]
    }

    /// - Returns: the address with and without the password.
    private func startPostgres() async throws -> (secret: String, shown: String) {
        if let text = values[PostgresSettings.optionalURL] {
            let url = try PostgresURL(text)
            try await waitForPostgres(url)
            return (text, url.description)
        }
        var options = PostgresCluster.Options(folder: folder.postgres)
        options.startTimeout = self.options.startLimit
        options.isDurable = self.options.isDurable
        let cluster = try await PostgresCluster.start(options)
        let log = "\(folder.postgres)/log"
        folder.linkLog("postgres.log", to: "../postgres/log")
        parts.add(
            StackPart(
                name: "PostgreSQL", logFile: log, exit: { cluster.exit }, stop: { await cluster.stop() }))
        return (cluster.url.revealed, cluster.url.description)
    }

    /// A server of somebody else's: it may be starting just now.
    private func waitForPostgres(_ url: PostgresURL) async throws {
        var configuration = PostgresConfiguration(url: url)
        configuration.connectTimeout = .seconds(2)
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do {
                let connection = try await PostgresConnection.open(configuration)
                await connection.close()
                return
            } catch {
                guard ContinuousClock.now < deadline else {
                    throw StackError(
                        "PostgreSQL",
                        "no answer from \(url): \(error.message). Is POSTGRES_URL right and the server running?"
                    )
                }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func startKafka() async throws -> KafkaBroker {
        let tools = StackPrograms.toolsDirectory(programs: options.programsDirectory)
        let choice = KafkaBroker.Choice(
            connection: try StackSettings.externalKafka(values), kafkaHome: values[StackSettings.kafkaHome],
            noidaDB: values[StackSettings.noidaDB] ?? StackPrograms.noidaDB(tools: tools))
        let broker = try await KafkaBroker.start(
            choice, directory: folder.kafka, diesWithParent: true,
            timeout: choice.connection == nil ? options.startLimit : .seconds(10))
        guard broker.kind != .external else { return broker }
        folder.linkLog("broker.log", to: "../kafka/broker.log")
        parts.add(
            StackPart(
                name: "broker", logFile: "\(folder.kafka)/broker.log", exit: { broker.exit },
                stop: { await broker.stop() }))
        return broker
    }

    private func startExchange() async throws -> String {
        if let url = values[StackSettings.exchangeURL] { return url }
        let port = try choosePort(0, of: "exchange")
        let address = "http://127.0.0.1:\(port)"
        let program = try StackPrograms.path("streamforge", in: options.programsDirectory)
        // The limit that the loaders reckon with is the one that it keeps to.
        let limit = values[ExchangeSettings.weightMax]
        let command = ChildProcess.Command(
            program, ["exchange", "--port", "\(port)", "--weight-max", "\(limit)"],
            environment: options.environment,
            logFile: "\(folder.logs)/exchange.log", diesWithParent: true)
        let part = HTTPPart(
            name: "exchange", command: command, readyURL: "\(address)/api/v3/ping", limit: options.startLimit,
            grace: .seconds(5))
        parts.add(try await part.start())
        return address
    }

    /// Ours, with the stack's addresses over it.
    private func environment(_ variables: [String: String]) -> [String: String] {
        var environment = options.environment
        for (name, value) in variables {
            environment[name] = value
            environment["\(name)_FILE"] = nil
        }
        if options.poolWorkers > 0, environment[Self.poolTargets] == nil {
            environment[Self.poolTargets] = options.poolTargets.joined(separator: ",")
        }
        return environment
    }

    private static let poolTargets = "POOL_TARGETS"

    private func startPoolWorker(_ number: Int, _ variables: [String: String]) async throws {
        var environment = environment(variables)
        // Stable: noida-db never forgets a member that died without a name.
        environment["POOL_WORKER_ID"] = "\(folder.stackID)-\(number)"
        try await startStaying("pool", "pool worker", number, environment)
    }

    private func startConnector(_ number: Int, _ variables: [String: String], isKafka: Bool) async throws {
        var environment = environment(variables)
        if !isKafka {
            // It never forgets a member that died without a name, and knows no cooperative assignment.
            environment["CONNECTOR_MEMBER_ID"] = "\(folder.stackID)-\(number)"
            environment["CONNECTOR_ASSIGNMENT"] = "range"
        }
        try await startStaying("connector", "connector", number, environment)
    }

    /// Starts a worker that stays and takes what comes.
    private func startStaying(
        _ kind: String, _ name: String, _ number: Int, _ variables: [String: String]
    ) async throws {
        let program = try StackPrograms.path("streamforge-worker", in: options.programsDirectory)
        let port = try choosePort(0, of: name)
        var environment = variables
        environment["HTTP_HOST"] = "127.0.0.1"
        environment["PORT"] = "\(port)"
        // Ended by us, after the queue-manager, and not as one of its workers.
        environment[MarkedProcesses.variable] = nil
        let command = ChildProcess.Command(
            program, [kind], environment: environment, logFile: "\(folder.logs)/\(kind)-\(number).log",
            diesWithParent: true)
        let part = HTTPPart(
            name: "\(name) \(number)", command: command,
            readyURL: "http://127.0.0.1:\(port)/health/ready",
            limit: options.startLimit, grace: options.stopGrace)
        parts.add(try await part.start())
    }

    private func startQueueManager(port: Int, _ variables: [String: String]) async throws -> String {
        let program = try StackPrograms.path("queue-manager", in: options.programsDirectory)
        let worker = try StackPrograms.path("streamforge-worker", in: options.programsDirectory)
        let address = "http://127.0.0.1:\(port)"
        var environment = environment(variables)
        environment["HTTP_HOST"] = "127.0.0.1"
        environment["PORT"] = "\(port)"
        environment["WORKER_PATH"] = worker
        environment["WORKER_LOG_DIR"] = folder.workerLogs
        let command = ChildProcess.Command(
            program, environment: environment, logFile: "\(folder.logs)/queue-manager.log",
            diesWithParent: true)
        let part = HTTPPart(
            name: "queue-manager", command: command, readyURL: "\(address)/health/ready",
            limit: options.startLimit, grace: options.stopGrace)
        parts.add(try await part.start())
        return address
    }

    /// The workers are the queue-manager's (also of one that is not ours), but they outlive it; so they are
    /// ended right after it.
    private func addWorkers() {
        let (stackID, grace) = (folder.stackID, options.stopGrace)
        parts.add(
            StackPart(
                name: "workers", logFile: nil, exit: { nil },
                stop: { await MarkedProcesses.end(stackID: stackID, grace: grace) }))
    }

    private func choosePort(_ wanted: Int, of part: String) throws(StackError) -> Int {
        do {
            return try LoopbackPort.choose(wanted == 0 ? nil : wanted)
        } catch {
            guard wanted != 0 else { throw StackError(part, "there is no free port on 127.0.0.1") }
            throw StackError(
                part,
                "port \(wanted) of 127.0.0.1 is taken: end the program that listens there, or choose another "
                    + "with --port (0 takes a free one)")
        }
    }
}
