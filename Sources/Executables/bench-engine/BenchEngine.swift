import ArgumentParser

/// The load generator of `scripts/bench-engine`: many keep-alive connections, one thread, little CPU.
///
/// Each sub-command prints one line of JSON, see ``LoadReport``.
@main
struct BenchEngine: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-engine", abstract: "Asks a queue-manager as fast as it answers.",
        subcommands: [Starts.self, Finishes.self, Gets.self, Finals.self])
}

/// What every load has.
struct LoadOptions: ParsableArguments {
    @Option(help: "Port of the queue-manager on 127.0.0.1.")
    var port: UInt16
    @Option(help: "Connections, each of which asks again as soon as it has its answer.")
    var clients = 50
    @Option(help: "How often the whole is done and measured.")
    var count: Int
    @Option(help: "How often it is done before the clock starts.")
    var warmUp = 0

    func validate() throws {
        guard (1...1_000).contains(clients), count > 0, warmUp >= 0 else {
            throw ValidationError("--clients must be 1 to 1000, --count positive, --warm-up not negative")
        }
    }

    func run(_ makeScript: @escaping () -> ClientScript) throws {
        var load = try Load(port: port, clients: clients, makeScript: makeScript)
        if warmUp > 0 { _ = try load.run(count: warmUp) }
        print(try load.run(count: count).json)
    }
}

extension BenchEngine {
    struct Starts: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Starts queues; done when answered.")

        @OptionGroup var load: LoadOptions
        @Option(help: "The body of POST /queues/start.")
        var body: String

        func run() throws {
            let request = HTTPText.post("/queues/start", body: body)
            try load.run { ClientScript(.answered(by: 201), first: request) }
        }
    }

    struct Finishes: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Starts queues and waits for their ends; done when the client knows that it finished.")

        @OptionGroup var load: LoadOptions
        @Option(help: "The body of POST /queues/start.")
        var body: String

        func run() throws {
            let request = HTTPText.post("/queues/start", body: body)
            try load.run { ClientScript(.queueFinished, first: request) }
        }
    }

    struct Gets: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Asks for one page again and again.")

        @OptionGroup var load: LoadOptions
        @Option(help: "Path and query.")
        var path: String

        func run() throws {
            let request = HTTPText.get(path)
            try load.run { ClientScript(.answered(by: 200), first: request) }
        }
    }
}
