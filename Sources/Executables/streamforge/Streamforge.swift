import ArgumentParser

/// `streamforge`: the stack of one machine, and a client of the queue-manager.
@main
struct Streamforge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "streamforge",
        abstract: "Loads market data through Kafka into a document store, with every record accounted for.",
        discussion: """
            EXIT STATUS
              0   done
              1   refused by the queue-manager, or a part of the stack could not start or ended by itself
              2   the queue ended, but not as finished (start --wait); a ping was not answered (ping)
              3   the queue-manager or the broker could not be reached
              64  the command line is not right
            """,
        subcommands: [
            Up.self, Exchange.self, Start.self, List.self, Show.self, Stop.self, Pause.self, Resume.self,
            Terminate.self, Retry.self, Events.self, Templates.self, ScheduleCommand.self,
            BackfillCommand.self, Budgets.self, Semaphores.self, Models.self, Ping.self, Debug.self,
        ])
}
