import Hummingbird
import PostgresBridge
import Workflow

/// Schedules and backfills put together: their services and their routes over one database.
package struct PlannedWork: Sendable {
    /// Tells the services that something was changed here.
    package struct Signals: Sendable {
        let schedules = Wakeups()
        let backfills = Wakeups()

        package init() {}
    }

    let pool: PostgresPool
    let starter: QueueStarter
    let cost: ExchangeCost
    let replica: String
    let wakeups: Signals
    let observe: ScheduleObserver
    let observeLoop: EngineObserver
    var clock = DatabaseClock()

    package var scheduleService: ScheduleService {
        ScheduleService(
            store: ScheduleStore(pool, clock: clock), starter: starter, wakeups: wakeups.schedules,
            replica: replica, observe: observe, observeLoop: observeLoop)
    }

    package var backfillService: BackfillService {
        BackfillService(
            store: BackfillStore(pool, clock: clock), starter: starter, wakeups: wakeups.backfills,
            replica: replica, observe: observe, observeLoop: observeLoop)
    }

    package func add(to router: Router<BasicRequestContext>) {
        ScheduleRoutes(
            store: ScheduleStore(pool, clock: clock), starter: starter, wakeups: wakeups.schedules,
            observe: observe
        ).add(to: router)
        BackfillRoutes(
            store: BackfillStore(pool, clock: clock), starter: starter, cost: cost,
            wakeups: wakeups.backfills,
            observe: observe
        ).add(to: router)
    }
}
