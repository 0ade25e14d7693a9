import ArgumentParser
import DebugProducer
import KafkaBridge
import ServiceRuntime
import Workflow

/// Speaks to workers over Kafka. `stop` and `start` of the top level are requests to the queue-manager.
struct Debug: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends commands to a queue's workers over Kafka, past the queue-manager.",
        discussion: DebugFlags.discussion, subcommands: [Ping.self, DebugStop.self, DebugStart.self])
}

/// Which workers are meant, and where the broker is.
struct DebugFlags: ParsableArguments {
    static let discussion = """
        The broker is that of KAFKA_BOOTSTRAP_SERVERS (and KAFKA_USER …), the topics those of QUEUE_CONTROL_TOPIC
        and QUEUE_EVENTS_TOPIC.
        For a local stack: set -a; . .streamforge/addresses.env
        """

    @Argument(help: "The queue's id.", transform: Self.queueID)
    var queue: QueueID
    @Option(help: "Only workers of this target, e.g. dummy-service.", transform: Self.target)
    var target: Target?
    @Option(help: "Only this step.", transform: Self.step)
    var step: StepID?
    @Option(help: "Only this instance, e.g. BTCUSDT.")
    var instance: String?
    @Option(help: "Only this attempt.")
    var attempt: Int?

    var address: DebugProducer.Address {
        DebugProducer.Address(
            queueID: queue, step: step, instance: instance, attempt: attempt, target: target)
    }

    func producer() throws -> DebugProducer {
        let values = try SettingsReader(environment: ProcessEnvironment.atStart()).read(
            DebugProducer.settings)
        try KafkaSettings.check(values)
        return DebugProducer(values)
    }

    private static func queueID(_ text: String) throws -> QueueID {
        guard let id = QueueID(text) else {
            throw ValidationError("\(text) is no queue id, e.g. wf-btcusdt-dummy-20240801-abc123")
        }
        return id
    }

    private static func step(_ text: String) throws -> StepID {
        guard let step = StepID(text) else { throw ValidationError("\(text) is no step id") }
        return step
    }

    private static func target(_ text: String) throws -> Target {
        guard let target = Target(name: text) else {
            let known = Target.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("\(text) is no target; one of \(known)")
        }
        return target
    }

    /// Runs a command and turns its failures into one line and an exit status.
    static func reporting(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as SettingsError {
            for problem in error.problems { Output.note("streamforge: \(problem)") }
            throw Status.refused
        } catch let error as KafkaError {
            Output.note("streamforge: \(error)")
            throw error.isRetriable ? Status.unreachable : Status.refused
        }
    }
}

struct Ping: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pings a queue's workers over Kafka and shows the round trips.",
        discussion: """
            \(DebugFlags.discussion)

            Exit status: 0 every ping was answered, 2 one was not within --timeout, 3 the broker could not be
            reached.
            """)

    @OptionGroup var flags: DebugFlags
    @Option(help: "How many pings, 1 to 10000.")
    var count = 1
    @Option(help: "Seconds between an answer and the next ping.")
    var interval = 1.0
    @Option(help: "Seconds to wait for an answer to each ping.")
    var timeout = 10.0

    func validate() throws {
        guard (1...10_000).contains(count) else { throw ValidationError("--count must be 1 to 10000") }
        guard (0...3_600).contains(interval) else { throw ValidationError("--interval must be 0 to 3600") }
        guard timeout > 0, timeout <= 3_600 else {
            throw ValidationError("--timeout must be above 0, to 3600")
        }
    }

    func run() async throws {
        var trips = RoundTrips()
        try await DebugFlags.reporting {
            try await flags.producer().ping(
                flags.address, count: count, interval: .seconds(interval), timeout: .seconds(timeout)
            ) { number, pongs in
                trips.add(pongs.map(\.roundTrip))
                if pongs.isEmpty { Output.line("ping \(number): no answer within \(timeout) s") }
                for pong in pongs {
                    let event = pong.event
                    Output.line(
                        "ping \(number): \(event.step)[\(event.instance)] attempt \(event.attempt) by "
                            + "\(event.workerID) in \(Self.milliseconds(pong.roundTrip)) ms")
                }
            }
        }
        if let spread = trips.spread {
            let shown = [spread.least, spread.median, spread.most].map(Self.milliseconds)
            Output.line(
                "\(trips.answered) of \(trips.sent) pings answered; round trip min \(shown[0]) ms, "
                    + "median \(shown[1]) ms, max \(shown[2]) ms")
        }
        guard trips.isComplete else { throw Status.notFinished }
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let hundredths = Int64(duration / .microseconds(10))
        let fraction = String(hundredths % 100 + 100).dropFirst()
        return "\(hundredths / 100).\(fraction)"
    }
}

struct DebugStop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stops workers over Kafka; the engine, which still wants them, makes new attempts.",
        discussion: DebugFlags.discussion)

    @OptionGroup var flags: DebugFlags
    @Option(help: "Why, for logs and events.")
    var reason = "debug"

    func run() async throws {
        try await DebugFlags.reporting {
            try await flags.producer().send(.stop, to: flags.address, reason: reason)
            Output.line("stop sent to \(flags.queue)")
        }
    }
}

struct DebugStart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract:
            "Sends a start command over Kafka; for listeners of your own: our workers begin by themselves.",
        discussion: DebugFlags.discussion)

    @OptionGroup var flags: DebugFlags
    @Option(help: "Why, for logs and events.")
    var reason = "debug"

    func run() async throws {
        try await DebugFlags.reporting {
            try await flags.producer().send(.start, to: flags.address, reason: reason)
            Output.line("start sent to \(flags.queue)")
        }
    }
}
