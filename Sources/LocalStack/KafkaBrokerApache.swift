import Foundation
import ServiceRuntime

/// An Apache Kafka (3.3 or newer) in KRaft mode: one node, no ZooKeeper.
///
/// Settings and commands: https://kafka.apache.org/documentation/#kraft
enum ApacheKafka {
    /// Writes the settings and formats the data folder when it is new.
    static func prepare(
        home: String, directory: String, port: Int
    ) async throws(KafkaBrokerError) -> BrokerProgram {
        let server = try script("kafka-server-start.sh", home)
        let storage = try script("kafka-storage.sh", home)
        let properties = "\(absolute(directory))/server.properties"
        let controllerPort = try LoopbackPort.choose(nil)
        try BrokerFiles.write(
            serverProperties(directory: absolute(directory), port: port, controllerPort: controllerPort),
            to: properties)
        try await format(storage, properties: properties, directory: directory)
        let command = ChildProcess.Command(server, [properties], environment: environment(directory))
        return BrokerProgram(kind: .apacheKafka, command: command)
    }

    static func serverProperties(directory: String, port: Int, controllerPort: Int) -> String {
        """
        process.roles=broker,controller
        node.id=1
        controller.quorum.voters=1@127.0.0.1:\(controllerPort)
        listeners=PLAINTEXT://127.0.0.1:\(port),CONTROLLER://127.0.0.1:\(controllerPort)
        advertised.listeners=PLAINTEXT://127.0.0.1:\(port)
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
        inter.broker.listener.name=PLAINTEXT
        controller.listener.names=CONTROLLER
        log.dirs=\(directory)/data
        auto.create.topics.enable=false
        default.replication.factor=1
        min.insync.replicas=1
        offsets.topic.replication.factor=1
        offsets.topic.num.partitions=8
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        transaction.state.log.num.partitions=8
        group.initial.rebalance.delay.ms=0

        """
    }

    /// Gives the data folder its cluster id; an already formatted folder keeps its own.
    private static func format(
        _ storage: String, properties: String, directory: String
    ) async throws(KafkaBrokerError) {
        // A folder keeps the controller's last port in its quorum state: harmless, the voters' list wins.
        guard !FileManager.default.fileExists(atPath: "\(directory)/data/meta.properties") else { return }
        let logFile = "\(absolute(directory))/format.log"
        let command = ChildProcess.Command(
            storage, ["format", "--cluster-id", makeClusterID(), "--config", properties],
            environment: environment(directory), logFile: logFile)
        do {
            let process = try await ChildProcess.start(command)
            let exit = await process.waitForExit(timeout: .seconds(60))
            if exit == nil { await process.terminate(grace: .seconds(1)) }
            guard exit?.isSuccess == true else {
                let last = BrokerFiles.lastLine(of: logFile) ?? "it wrote nothing"
                throw KafkaBrokerError(
                    "\(storage) could not format \(directory)/data: \(last). Is Java installed?")
            }
        } catch let error as KafkaBrokerError {
            throw error
        } catch {
            throw KafkaBrokerError("\(storage) could not be started: \(error)")
        }
    }

    /// 16 random bytes in URL-safe base64 without padding, as `kafka-storage.sh random-uuid` makes them.
    static func makeClusterID() -> String {
        var generator = SystemRandomNumberGenerator()
        var text: String
        repeat {
            let bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            text = Data(bytes).base64EncodedString()
            text = text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
            // A leading dash would be read as an option.
        } while text.hasPrefix("-")
        return text
    }

    private static func script(_ name: String, _ home: String) throws(KafkaBrokerError) -> String {
        guard let path = BrokerFiles.absolutePathOfProgram("\(home)/bin/\(name)") else {
            throw KafkaBrokerError("KAFKA_HOME is \(home), but \(home)/bin/\(name) is no program there.")
        }
        return path
    }

    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }

    /// The scripts find Java by these; their own logs go to our folder instead of KAFKA_HOME.
    private static func environment(_ directory: String) -> [String: String] {
        var environment = ["LOG_DIR": "\(absolute(directory))/logs", "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m"]
        for name in ["PATH", "HOME", "JAVA_HOME", "KAFKA_HEAP_OPTS", "LANG"] {
            if let value = ProcessInfo.processInfo.environment[name] { environment[name] = value }
        }
        return environment
    }
}
