import KafkaBridge
import ServiceRuntime

/// The Kafka broker of one machine: one that is already there, or one that we start on 127.0.0.1 and end
/// again.
package final class KafkaBroker: Sendable {
    package enum Kind: String, Sendable {
        /// Somebody else's broker: never stopped by us.
        case external
        /// Apache Kafka in KRaft mode, one node that is broker and controller.
        case apacheKafka
        /// A small broker for one machine; not durable against a kill within a second.
        case noidaDB
    }

    /// Where to look for a broker, in this order.
    package struct Choice: Sendable {
        /// Used as it is when set.
        package var connection: KafkaConnection?
        /// The folder of an Apache Kafka, the one with `bin/kafka-server-start.sh`.
        package var kafkaHome: String?
        /// The program `noida-db`.
        package var noidaDB: String

        package init(connection: KafkaConnection?, kafkaHome: String?, noidaDB: String) {
            self.connection = connection
            self.kafkaHome = kafkaHome
            self.noidaDB = noidaDB
        }

        /// Reads `KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_HOME` and `NOIDA_DB`.
        ///
        /// - Parameter toolsDirectory: where `scripts/setup` puts programs: `bin/noida-db` is looked up
        ///   there.
        package init(environment: [String: String], toolsDirectory: String = ".streamforge/tools") {
            let servers = environment["KAFKA_BOOTSTRAP_SERVERS"].flatMap { $0.isEmpty ? nil : $0 }
            self.init(
                connection: servers.map { KafkaConnection($0) },
                kafkaHome: environment["KAFKA_HOME"].flatMap { $0.isEmpty ? nil : $0 },
                noidaDB: environment["NOIDA_DB"] ?? "\(toolsDirectory)/bin/noida-db")
        }
    }

    package let kind: Kind
    package let connection: KafkaConnection
    private let process: ChildProcess?

    private init(kind: Kind, connection: KafkaConnection, process: ChildProcess?) {
        self.kind = kind
        self.connection = connection
        self.process = process
    }

    /// How the broker's process ended; nil while it runs and for an external broker.
    package var exit: ChildProcess.Exit? { process?.exit }
    package var pid: Int32? { process?.pid }

    /// Starts the broker, or finds the one given, and waits until it answers.
    ///
    /// - Parameters:
    ///   - directory: data, settings and log; made when missing. One broker a folder.
    ///   - port: nil takes a free one.
    ///   - diesWithParent: end the broker when our process dies in whatever way.
    ///   - timeout: until the first answer; Apache Kafka needs 5 to 20 s.
    package static func start(
        _ choice: Choice, directory: String, port: Int? = nil, diesWithParent: Bool = false,
        timeout: Duration = .seconds(60)
    ) async throws(KafkaBrokerError) -> KafkaBroker {
        if let connection = choice.connection {
            let broker = KafkaBroker(kind: .external, connection: connection, process: nil)
            try await broker.waitUntilReady(logFile: nil, timeout: timeout)
            return broker
        }
        let chosenPort = try LoopbackPort.choose(port)
        let logFile = "\(directory)/broker.log"
        try BrokerFiles.makeDirectory(directory)
        var program: BrokerProgram
        if let home = choice.kafkaHome {
            program = try await ApacheKafka.prepare(home: home, directory: directory, port: chosenPort)
        } else {
            program = try noidaDB(choice.noidaDB, directory: directory, port: chosenPort)
        }
        program.command.logFile = logFile
        program.command.diesWithParent = diesWithParent
        let process: ChildProcess
        do {
            process = try await ChildProcess.start(program.command)
        } catch {
            throw KafkaBrokerError("\(program.command.executable) could not be started: \(error)")
        }
        var connection = KafkaConnection("127.0.0.1:\(chosenPort)")
        connection.rereadsAborted = program.kind == .noidaDB
        let broker = KafkaBroker(kind: program.kind, connection: connection, process: process)
        do {
            try await broker.waitUntilReady(logFile: logFile, timeout: timeout)
        } catch {
            await process.terminate(grace: .seconds(5))
            throw error
        }
        return broker
    }

    /// Ends a broker that we started: SIGTERM lets it save its data, SIGKILL follows after `grace`.
    package func stop(grace: Duration = .seconds(20)) async {
        await process?.terminate(grace: grace)
    }

    private static func noidaDB(
        _ program: String, directory: String, port: Int
    ) throws(KafkaBrokerError) -> BrokerProgram {
        guard let path = BrokerFiles.absolutePathOfProgram(program) else {
            throw KafkaBrokerError(
                "No Kafka broker: \(program) is missing. Run scripts/setup, or set KAFKA_BOOTSTRAP_SERVERS "
                    + "(a broker) or KAFKA_HOME (an Apache Kafka).")
        }
        let arguments = [
            "start", "--only", "kafka", "--host", "127.0.0.1", "--kafka-port", "\(port)", "--data-dir",
            "\(directory)/data",
        ]
        return BrokerProgram(kind: .noidaDB, command: ChildProcess.Command(path, arguments))
    }

    private func waitUntilReady(logFile: String?, timeout: Duration) async throws(KafkaBrokerError) {
        let place = connection.bootstrapServers
        do {
            let admin = try KafkaAdmin(connection)
            let clock = ContinuousClock()
            let deadline = clock.now + timeout
            var failure: KafkaError?
            repeat {
                if let exit {
                    await admin.close()
                    throw KafkaBrokerError.crashed(kind, exit, logFile: logFile)
                }
                do {
                    _ = try await admin.partitionCounts(timeout: .milliseconds(500))
                    failure = nil
                } catch {
                    failure = error
                }
            } while failure != nil && clock.now < deadline
            await admin.close()
            guard let failure else { return }
            throw failure
        } catch let error as KafkaBrokerError {
            throw error
        } catch {
            let advice =
                logFile.map { "Look at \($0)." } ?? "Is KAFKA_BOOTSTRAP_SERVERS right and the broker running?"
            throw KafkaBrokerError(
                "No Kafka broker answered at \(place) within \(timeout): \(error). \(advice)")
        }
    }
}

/// What to run for a broker.
struct BrokerProgram: Sendable {
    var kind: KafkaBroker.Kind
    var command: ChildProcess.Command
}

/// One line that says what is wrong with the broker and what to do.
package struct KafkaBrokerError: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }

    static func crashed(_ kind: KafkaBroker.Kind, _ exit: ChildProcess.Exit, logFile: String?) -> Self {
        let last = logFile.flatMap { BrokerFiles.lastLine(of: $0) } ?? "it wrote nothing"
        return Self(
            "The broker (\(kind.rawValue)) ended at its start, \(exit): \(last). Log: \(logFile ?? "none").")
    }
}
