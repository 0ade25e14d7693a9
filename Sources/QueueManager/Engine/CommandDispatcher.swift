import ServiceLifecycle
import Workflow

/// Sends commands of the outbox to queue-control, each again until its effect is seen.
package struct CommandDispatcher: Service {
    let store: EngineStore
    let broker: EngineBroker
    let wakeups: Wakeups
    let clock: @Sendable () -> Double
    let observe: EngineObserver

    package func run() async throws {
        await loop("commands", observe: observe) {
            let sent = try await store.dispatch(limit: 200) { commands in
                for command in commands {
                    var payload = command.payload
                    payload.timestamp = clock()
                    try await broker.send(payload)
                }
            }
            if sent > 0 { observe(.commandsSent(count: sent)) }
            await wakeups.wait(atMost: .seconds(1))
        }
    }
}
