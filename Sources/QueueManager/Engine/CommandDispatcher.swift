import ServiceLifecycle
import Workflow

/// Sends commands of the outbox to queue-control, each again until its effect is seen.
package struct CommandDispatcher: Service {
    let store: any EngineStorage
    let broker: EngineBroker
    let wakeups: Wakeups
    /// Unix seconds, for people.
    let clock: @Sendable () -> Double
    let observe: EngineObserver

    static let batchMax = 200

    package init(
        store: any EngineStorage, broker: EngineBroker, wakeups: Wakeups,
        clock: @escaping @Sendable () -> Double, observe: EngineObserver
    ) {
        self.store = store
        self.broker = broker
        self.wakeups = wakeups
        self.clock = clock
        self.observe = observe
    }

    package func run() async throws {
        await loop("commands", observe: observe) {
            let sent = try await turn()
            if sent < Self.batchMax { await wakeups.wait(atMost: .seconds(1)) }
        }
    }

    /// Sends what is due now.
    ///
    /// - Returns: how many were sent.
    package func turn() async throws -> Int {
        let sent = try await store.dispatch(limit: Self.batchMax) { commands in
            for var command in commands {
                command.timestamp = clock()
                try await broker.send(command)
            }
        }
        if sent > 0 { observe(.commandsSent(count: sent)) }
        return sent
    }
}
